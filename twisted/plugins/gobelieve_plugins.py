"""The subcommands that gobelieve gives twistd. It imports none of the program."""

from twisted.application.service import ServiceMaker

gobelieve_im = ServiceMaker(
    "gobelieve-im", "gobelieve.services.im", "GoBelieve: the gateway of clients", "gobelieve-im"
)
gobelieve_imr = ServiceMaker(
    "gobelieve-imr", "gobelieve.services.imr", "GoBelieve: the router", "gobelieve-imr"
)
gobelieve_ims = ServiceMaker(
    "gobelieve-ims", "gobelieve.services.ims", "GoBelieve: message storage", "gobelieve-ims"
)
gobelieve = ServiceMaker(
    "gobelieve", "gobelieve.services.embedded", "GoBelieve: all in one process", "gobelieve"
)
