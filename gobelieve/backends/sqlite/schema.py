"""The tables in the SQLite file, and how a file of an older version gets those of a newer one."""

_USERS = """
CREATE TABLE user (
    appid INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    name TEXT NOT NULL DEFAULT '',
    forbidden INTEGER NOT NULL DEFAULT 0,
    notification_on INTEGER NOT NULL DEFAULT 0,
    sync_key INTEGER NOT NULL DEFAULT 0,
    unread INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (appid, uid)
) WITHOUT ROWID;
CREATE TABLE token (
    token TEXT PRIMARY KEY,
    appid INTEGER NOT NULL,
    uid INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE device (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id TEXT NOT NULL,
    platform INTEGER NOT NULL,
    UNIQUE (device_id, platform)
);
CREATE TABLE push (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    item BLOB NOT NULL
);
"""

# As in etc/schema.sql.
_GROUPS = """
CREATE TABLE "group" (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    appid INTEGER,
    master INTEGER,
    super INTEGER NOT NULL DEFAULT 0,
    name TEXT,
    notice TEXT,
    deleted INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE group_member (
    group_id INTEGER NOT NULL DEFAULT 0,
    uid INTEGER NOT NULL DEFAULT 0,
    nickname TEXT,
    timestamp INTEGER,
    mute INTEGER DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (group_id, uid)
) WITHOUT ROWID;
CREATE INDEX group_member_uid ON group_member (uid);
"""

_GROUP_SYNC_KEYS = """
CREATE TABLE group_sync_key (
    appid INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    sync_key INTEGER NOT NULL,
    PRIMARY KEY (appid, uid, group_id)
) WITHOUT ROWID;
"""

# The first two as in etc/schema.sql.
_RELATIONS = """
CREATE TABLE friend (
    appid INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    friend_uid INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    PRIMARY KEY (appid, uid, friend_uid)
) WITHOUT ROWID;
CREATE TABLE blacklist (
    appid INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    friend_uid INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    PRIMARY KEY (appid, uid, friend_uid)
) WITHOUT ROWID;
CREATE TABLE daily_user (
    day TEXT NOT NULL,
    appid INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    PRIMARY KEY (day, appid, uid)
) WITHOUT ROWID;
"""

# The first as in etc/schema.sql.
_APPS = """
CREATE TABLE app (
    id INTEGER PRIMARY KEY,
    name TEXT,
    key TEXT,
    secret TEXT NOT NULL
);
CREATE TABLE do_not_disturb (
    appid INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    PRIMARY KEY (appid, uid, conversation)
) WITHOUT ROWID;
ALTER TABLE user ADD COLUMN access_token TEXT;
"""

MIGRATIONS = (_USERS, _GROUPS, _GROUP_SYNC_KEYS, _RELATIONS, _APPS)
"""The statements that make version n + 1 of version n."""

VERSION = len(MIGRATIONS)
