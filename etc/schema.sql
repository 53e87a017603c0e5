-- The tables of groups and relations, for MySQL 5.7 and up or MariaDB. Load it as often as you
-- like: what is there is left alone.
--
--     mysql gobelieve < etc/schema.sql
--
-- Either the app's own server writes groups, and gobelieve only reads them; or gobelieve writes them
-- too, for who uses its app API (docs/http-api.md). The INSERTs of upstream's server do not name
-- `deleted`; so the column has a default, without which strict mode refuses them.

CREATE TABLE IF NOT EXISTS `group` (
    `id` BIGINT NOT NULL AUTO_INCREMENT COMMENT 'unique over all applications',
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
    `mute` TINYINT(1) DEFAULT 0 COMMENT '1: may not speak in this group',
    `deleted` TINYINT(1) NOT NULL DEFAULT 0,
    PRIMARY KEY (`group_id`, `uid`),
    KEY `idx_group_member_uid` (`uid`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS `friend` (
    `appid` BIGINT NOT NULL,
    `uid` BIGINT NOT NULL,
    `friend_uid` BIGINT NOT NULL COMMENT 'whom this user has as a friend',
    `timestamp` INT NOT NULL COMMENT 'seconds since 1970',
    PRIMARY KEY (`appid`, `uid`, `friend_uid`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS `blacklist` (
    `appid` BIGINT NOT NULL,
    `uid` BIGINT NOT NULL,
    `friend_uid` BIGINT NOT NULL COMMENT 'whom this user does not want to hear',
    `timestamp` INT NOT NULL COMMENT 'seconds since 1970',
    PRIMARY KEY (`appid`, `uid`, `friend_uid`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE IF NOT EXISTS `app` (
    `id` BIGINT NOT NULL AUTO_INCREMENT,
    `name` VARCHAR(64) NULL,
    `key` VARCHAR(64) NULL COMMENT 'public; not used here',
    `secret` VARCHAR(64) NULL COMMENT 'by which the server of the app proves who it is',
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
