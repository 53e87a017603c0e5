"""The daemons under measurement, with the servers that they need."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from gobelieve.bench.databases import Crowd, mariadb_command, write_to_mariadb
from gobelieve.bench.processes import Running, Site, free_port, site


@contextmanager
def three_daemons(
    settings: Sequence[str] = (), cluster: Sequence[str] = (), crowd: Crowd | None = None
) -> Iterator[Running]:
    """Run Redis, ims, imr and im.

    `settings` are for ims, as for ``--set``, and `cluster` for all daemons. With a `crowd` there is
    also a MariaDB, which has this group.
    """
    with site() as here:
        redis = here.run_redis()
        rpc, route, clients, http = (free_port() for _ in range(4))
        groups = [] if crowd is None else [_run_mariadb(here, crowd)]
        for_all = [f"cluster.{setting}" for setting in cluster]
        storage = [f"rpc_listen=127.0.0.1:{rpc}", f"storage_root={here.folder}/messages"]
        here.run_daemon("ims", rpc, [*storage, *settings, *for_all])
        router = [f"listen=127.0.0.1:{route}", f"redis.address={redis}"]
        here.run_daemon("imr", route, [*router, *groups, *for_all])
        gateway = [
            "host=127.0.0.1",
            f"port={clients}",
            f"http_listen_address=127.0.0.1:{http}",
            f"redis.address={redis}",
            f"storage_rpc_addrs=['127.0.0.1:{rpc}']",
            f"route_addrs=['127.0.0.1:{route}']",
            f"pending_root={here.folder}/pending",
        ]
        here.run_daemon("im", clients, [*gateway, *groups, *for_all])
        address = f"127.0.0.1:{clients}"
        yield Running(address, redis, here.folder, here.pids, f"127.0.0.1:{http}")


def _run_mariadb(here: Site, crowd: Crowd) -> str:
    port = free_port()
    here.run("mariadb", mariadb_command(here.folder, port), port)
    return f"mysqldb_datasource={write_to_mariadb(port, crowd)}"


@contextmanager
def storages(policies: Sequence[str]) -> Iterator[dict[str, Running]]:
    """Run one storage daemon per sync policy. The clients of the result are gateways."""
    with ExitStack() as stack:
        found: dict[str, Running] = {}
        for policy in policies:
            here = stack.enter_context(site())
            rpc = free_port()
            values = [
                f"rpc_listen=127.0.0.1:{rpc}",
                f"storage_root={here.folder}/messages",
                f"fsync={policy}",
            ]
            here.run_daemon("ims", rpc, values)
            found[policy] = Running(f"127.0.0.1:{rpc}", None, here.folder, here.pids)
        yield found


@contextmanager
def router() -> Iterator[Running]:
    """Run imr and its Redis. The clients are gateways, and pushes do not wait for them."""
    with site() as here:
        redis = here.run_redis()
        route = free_port()
        values = [
            f"listen=127.0.0.1:{route}",
            f"redis.address={redis}",
            "push_grace=0",
            "link_grace=0",
        ]
        here.run_daemon("imr", route, values)
        yield Running(f"127.0.0.1:{route}", redis, here.folder, here.pids)


@contextmanager
def all_in_one(settings: Sequence[str] = ()) -> Iterator[Running]:
    """Run the all-in-one daemon. `settings` are for its storage."""
    with site() as here:
        clients, rpc, route, http = (free_port() for _ in range(4))
        values = [
            f"im.port={clients}",
            "im.ws_address=",
            f"im.http_listen_address=127.0.0.1:{http}",
            f"ims.rpc_listen=127.0.0.1:{rpc}",
            f"imr.listen=127.0.0.1:{route}",
            *(f"ims.{setting}" for setting in settings),
        ]
        arguments = [word for value in values for word in ("--set", value)]
        data = ["--data", here.folder]
        here.run_plugin("gobelieve", "gobelieve", clients, [*data, *arguments])
        address = f"127.0.0.1:{clients}"
        yield Running(address, None, here.folder, here.pids, f"127.0.0.1:{http}")
