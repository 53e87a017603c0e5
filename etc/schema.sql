-- The tables of groups, relations and apps, for MariaDB, or MySQL 5.7 and later. You can load this
-- file again at any time: it leaves existing tables alone.
--
--     mysql gobelieve < etc/schema.sql
--
-- The app's server writes groups, and gobelieve reads them. If the app's server uses the app API
-- (docs/http-api.md), gobelieve writes groups too.
--
-- The INSERTs of the Go server's API server do not name `deleted`. So the column has a default:
-- without one, strict mode refuses these INSERTs.

CREATE TABLE IF NOT EXISTS `group` (
    `id` BIGINT NOT NULL AUTO_INCREMENT COMMENT 'unique over all apps',
    `appid` BIGINT NULL,
    `master` BIGINT NULL COMMENT 'uid of the owner',
    `super` TINYINT NOT NULL DEFAULT 0 COMMENT '1: a super group, with one queue of its own',
    `name` VARCHAR(255) NULL,
    `notice` VARCHAR(255) NULL COMMENT 'announcement',
    `deleted` TINYINT(1) NOT NULL DEFAULT 0,
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS `group_member` (
    `group_id` BIGINT NOT NULL DEFAULT 0,
    `uid` BIGINT NOT NULL DEFAULT 0,
    `nickname` VARCHAR(255) NULL COMMENT 'name within the group',
    `timestamp` INT NULL COMMENT 'when the member joined, in seconds since 1970',
    `mute` TINYINT(1) DEFAULT 0 COMMENT '1: may not send messages to this group',
    `deleted` TINYINT(1) NOT NULL DEFAULT 0,
    PRIMARY KEY (`group_id`, `uid`),
    KEY `idx_group_member_uid` (`uid`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS `friend` (
    `appid` BIGINT NOT NULL,
    `uid` BIGINT NOT NULL,
    `friend_uid` BIGINT NOT NULL COMMENT 'the friend of this user',
    `timestamp` INT NOT NULL COMMENT 'seconds since 1970',
    PRIMARY KEY (`appid`, `uid`, `friend_uid`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS `blacklist` (
    `appid` BIGINT NOT NULL,
    `uid` BIGINT NOT NULL,
    `friend_uid` BIGINT NOT NULL COMMENT 'the user whose messages this user refuses',
    `timestamp` INT NOT NULL COMMENT 'seconds since 1970',
    PRIMARY KEY (`appid`, `uid`, `friend_uid`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS `app` (
    `id` BIGINT NOT NULL AUTO_INCREMENT,
    `name` VARCHAR(64) NULL,
    `key` VARCHAR(64) NULL COMMENT 'public; not used here',
    `secret` VARCHAR(64) NULL COMMENT 'proves that a caller is the server of this app',
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
