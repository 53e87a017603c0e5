"""Composition: what each daemon is made of. Nothing here listens or opens before it is started."""
