"""A hand-written frame for each message that the vectors of clients do not contain.

The spaces in the hex are for the reader: header, then field by field. If you declare a message, add
its frame here; `test_golden` demands one for each message.
"""

from gobelieve.wire import client, cluster, customers, replication, route, storage
from gobelieve.wire.message import Message
from gobelieve.wire.older import retired, storage_clients

GOLDEN: list[tuple[str, Message]] = [
    # --- the client's link, version 1
    ("00000000 00000001 01 01 00 00", retired.Heartbeat(rest=b"")),
    ("00000008 00000001 02 01 00 00 0000000000000001", retired.Auth(rest=bytes(7) + b"\1")),
    ("00000000 00000001 06 01 00 00", retired.Rst(rest=b"")),
    ("00000004 00000001 09 01 00 00 00000002", retired.PeerAck(rest=b"\0\0\0\2")),
    ("00000001 00000001 0b 01 00 00 01", retired.SubscribeOnlineState(rest=b"\1")),
    ("00000001 00000001 0c 01 00 00 01", retired.OnlineState(rest=b"\1")),
    ("00000001 00000001 10 01 00 00 7a", retired.LoginPoint(rest=b"z")),
    ("00000008 00000002 13 01 00 00 0000000000000001", client.LeaveRoom(room=1)),
    ("00000004 00000002 16 01 00 00 00000007", client.UnreadCount(count=7)),
    ("00000000 00000002 17 01 00 00", retired.CustomerService(rest=b"")),
    (
        "00000026 00000003 19 01 00 00 0000000000000007 0000000000000001 0000000000000001"
        "0000000000000002 5ac0e3ea 6f6b",
        customers.CustomerSupport(
            customer_appid=7,
            customer_id=1,
            store_id=1,
            seller_id=2,
            timestamp=1522590698,
            content=b"ok",
        ),
    ),
    (
        "00000010 0000000f 20 01 00 00 0000000000000c27 00000000000003e8",
        client.SyncGroupEnd(group_id=3111, sync_key=1000),
    ),
    (
        "00000010 0000000f 23 01 00 00 0000000000000c27 00000000000003e8",
        client.GroupSyncKey(group_id=3111, sync_key=1000),
    ),
    ("00000002 00000004 24 01 00 00 6869", client.Notification(content=b"hi")),
    # --- gateway and router, version 0
    (
        "00000011 00000000 82 00 00 00 0000000000000007 0000000000000001 01",
        route.Subscribe(appid=7, uid=1, online=1),
    ),
    (
        "00000010 00000000 83 00 00 00 0000000000000007 ffffffffffffffff",
        route.Unsubscribe(appid=7, uid=-1),
    ),
    (
        "0000002c 00000000 84 00 00 00 0000000000000007 0000000000000002 0000000000001092"
        "0000000000000003 1621a3d5c0000000 0002 abcd",
        route.Publish(
            appid=7,
            receiver=2,
            msgid=4242,
            device_id=3,
            timestamp=0x1621A3D5C0000000,
            inner=b"\xab\xcd",
        ),
    ),
    (
        "0000001d 00000000 86 00 00 00 0000000000000007 0002 0000000000000001 0000000000000002"
        "0001 ff",
        route.Push(appid=7, receivers=(1, 2), inner=b"\xff"),
    ),
    (
        "0000002a 00000000 87 00 00 00 0000000000000007 0000000000000c27 0000000000000000"
        "0000000000000000 0000000000000001 0000",
        route.PublishGroup(appid=7, receiver=3111, msgid=0, device_id=0, timestamp=1, inner=b""),
    ),
    (
        "00000010 00000000 88 00 00 00 0000000000000007 0000000000000001",
        route.SubscribeRoom(appid=7, room_id=1),
    ),
    (
        "00000010 00000000 89 00 00 00 0000000000000007 0000000000000001",
        route.UnsubscribeRoom(appid=7, room_id=1),
    ),
    (
        "0000002b 00000000 8a 00 00 00 0000000000000007 0000000000000001 0000000000000000"
        "0000000000000000 0000000000000001 0001 7a",
        route.PublishRoom(appid=7, receiver=1, msgid=0, device_id=0, timestamp=1, inner=b"z"),
    ),
    # --- gateway and router, version 1
    ("00000000 00000009 8b 01 00 00", route.Mark()),
    ("00000001 00000009 8c 01 00 00 01", route.Marked(abilities=route.DECIDES_GROUP_PUSHES)),
    # --- storage's clients, version 0
    (
        "0000001b 00000000 c8 00 00 00 0001 7a 0000000000000007 0000000000000002 0000000000000003",
        storage_clients.SaveAndEnqueue(inner=b"z", appid=7, receiver=2, device_id=3),
    ),
    (
        "00000020 00000000 c9 00 00 00 0000000000000007 0000000000000002 0000000000001092"
        "0000000000000003",
        storage_clients.Dequeue(appid=7, receiver=2, msgid=4242, device_id=3),
    ),
    (
        "00000018 00000000 ca 00 00 00 0000000000000007 0000000000000002 0000000000000003",
        storage_clients.LoadOffline(appid=7, uid=2, device_id=3),
    ),
    (
        "00000020 00000000 cb 00 00 00 0000000000000007 0000000000000c27 0000000000000002"
        "0000000000000003",
        storage_clients.LoadGroupOffline(appid=7, gid=3111, uid=2, device_id=3),
    ),
    ("00000005 00000000 cc 00 00 00 00000001 7a", storage_clients.Result(status=1, content=b"z")),
    (
        "00000014 00000000 cd 00 00 00 0000000000000007 0000000000000002 0000000a",
        storage_clients.LoadLatest(appid=7, uid=2, limit=10),
    ),
    (
        "0000001b 00000000 ce 00 00 00 0001 7a 0000000000000007 0000000000000c27 0000000000000003",
        storage_clients.SaveAndEnqueueGroup(inner=b"z", appid=7, receiver=3111, device_id=3),
    ),
    (
        "00000028 00000000 cf 00 00 00 0000000000000007 0000000000000002 0000000000001092"
        "0000000000000c27 0000000000000003",
        storage_clients.DequeueGroup(appid=7, receiver=2, msgid=4242, gid=3111, device_id=3),
    ),
    (
        "00000018 00000000 d0 00 00 00 0000000000000007 0000000000000002 0000000000001092",
        storage_clients.LoadHistory(appid=7, uid=2, msgid=4242),
    ),
    (
        "00000018 00000000 d3 00 00 00 0000000000000007 0000000000000002 0000000000000003",
        storage_clients.GetOfflineCount(appid=7, uid=2, device_id=3),
    ),
    (
        "00000020 00000000 d4 00 00 00 0000000000000007 0000000000000c27 0000000000000002"
        "0000000000000003",
        storage_clients.GetGroupOfflineCount(appid=7, gid=3111, uid=2, device_id=3),
    ),
    # --- replication, version 0
    (
        "00000008 00000000 dc 00 00 00 0000000008000000",
        replication.StorageSyncBegin(cursor=1 << 27),
    ),
    (
        "00000013 00000000 dd 00 00 00 0000000000001092 0000000000000003 0001 7a",
        replication.StorageSyncMessage(msgid=4242, device_id=3, inner=b"z"),
    ),
    (
        "00000015 00000000 de 00 00 00 0000000000000020 0000000000000040 00000002 7a",
        replication.StorageSyncMessageBatch(first_id=32, last_id=64, count=2, frames=b"z"),
    ),
    (
        "00000008 00000000 df 00 00 00 0000000008000000",
        replication.StorageSyncPosition(cursor=1 << 27),
    ),
    ("00000001 00000000 e0 00 00 00 7a", replication.StorageSyncRefused(reason=b"z")),
    (
        "00000014 00000000 e1 00 00 00 0000000000000020 0000000000000040 deadbeef",
        replication.StorageSyncTail(first_id=32, end_id=64, checksum=0xDEADBEEF),
    ),
    (
        "00000011 00000000 e2 00 00 00 0000000007fffff0 0000000008000000 7a",
        replication.StorageSyncBytes(ended=0x7FFFFF0, first_id=1 << 27, content=b"z"),
    ),
    # --- storage's RPC, version 0
    ("00000001 00000009 e6 00 00 00 7a", storage.Save(items=b"z")),
    ("00000001 00000009 e7 00 00 00 7a", storage.Saved(results=b"z")),
    (
        "0000001c 00000009 e8 00 00 00 0000000000000007 0000000000000002 000000000000109200000bb8",
        storage.Fetch(appid=7, uid=2, after=4242, limit=3000),
    ),
    (
        "00000020 00000009 e9 00 00 00 0000000000000007 0000000000000c27 0000000000001092"
        "5ac0e3ea 00000bb8",
        storage.FetchGroup(appid=7, group_id=3111, after=4242, joined=1522590698, limit=3000),
    ),
    (
        "00000014 00000009 ea 00 00 00 0000000000000007 0000000000000002 0000000a",
        storage.FetchLatest(appid=7, uid=2, limit=10),
    ),
    (
        "0000001c 00000009 f1 00 00 00 0000000000000007 0000000000000002 0000000000001092 0000000a",
        storage.FetchBefore(appid=7, uid=2, before=4242, limit=10),
    ),
    (
        "00000012 00000009 eb 00 00 00 0000000000001092 0000000000001093 01 7a",
        storage.Page(last=4242, newest=4243, more=1, messages=b"z"),
    ),
    (
        "00000018 00000009 ec 00 00 00 0000000000000007 0000000000000002 0000000000001092",
        storage.CountNew(appid=7, uid=2, after=4242),
    ),
    ("00000008 00000009 ed 00 00 00 0000000000000005", storage.Counted(count=5)),
    ("00000003 00000009 ee 00 00 00 67 6e6f", storage.Failed(status=103, reason=b"no")),
    ("00000000 00000009 ef 00 00 00", storage.StoragePing()),
    ("00000000 00000009 f0 00 00 00", storage.StoragePong()),
    # --- the greeting of our own daemons, version 0
    (
        "00000021 00000000 a0 00 00 00 01" + "0102030405060708" * 4,
        cluster.LinkHello(port=1, nonce=bytes(range(1, 9)) * 4),
    ),
    (
        "00000021 00000000 a1 00 00 00 04" + "0102030405060708" * 4,
        cluster.LinkChallenge(port=4, nonce=bytes(range(1, 9)) * 4),
    ),
    (
        "00000020 00000000 a2 00 00 00" + "0102030405060708" * 4,
        cluster.LinkProof(proof=bytes(range(1, 9)) * 4),
    ),
    (
        "00000020 00000000 a3 00 00 00" + "0102030405060708" * 4,
        cluster.LinkWelcome(proof=bytes(range(1, 9)) * 4),
    ),
    ("00000001 00000000 a4 00 00 00 03", cluster.LinkRefused(reason=3)),
]
