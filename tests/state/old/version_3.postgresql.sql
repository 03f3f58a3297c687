CREATE SCHEMA marketloop;
CREATE SCHEMA marketloop_scores;
CREATE FUNCTION marketloop.blocks_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'blocks is append-only'; END $$;
CREATE FUNCTION marketloop.champions_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'champions is append-only'; END $$;
CREATE FUNCTION marketloop.decisions_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'decisions is append-only'; END $$;
CREATE FUNCTION marketloop.rollouts_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'rollouts is append-only'; END $$;
CREATE FUNCTION marketloop.skill_events_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'skill_events is append-only'; END $$;
CREATE FUNCTION marketloop.skill_years_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'skill_years is append-only'; END $$;
CREATE FUNCTION marketloop.trials_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'trials is append-only'; END $$;
CREATE FUNCTION marketloop.tunings_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'tunings is append-only'; END $$;
CREATE FUNCTION marketloop_scores.scoreboards_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'scoreboards is append-only'; END $$;
CREATE TABLE marketloop.alarms (
    id bigint NOT NULL,
    kind character varying(32) NOT NULL,
    key character varying(255) NOT NULL,
    title text NOT NULL,
    document text NOT NULL,
    raised_at character varying(32) NOT NULL,
    repeats integer NOT NULL,
    last_at character varying(32) NOT NULL
);
CREATE SEQUENCE marketloop.alarms_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE marketloop.alarms_id_seq OWNED BY marketloop.alarms.id;
CREATE TABLE marketloop.blocks (
    stream_id character varying(64) NOT NULL,
    first_session integer NOT NULL,
    last_session integer NOT NULL,
    block integer NOT NULL,
    nominee text NOT NULL,
    params text NOT NULL,
    train_through integer NOT NULL,
    rows integer NOT NULL,
    path text NOT NULL,
    sha256 character varying(64) NOT NULL,
    model_path text NOT NULL,
    written_at character varying(32) NOT NULL
);
CREATE TABLE marketloop.champions (
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    entry integer NOT NULL,
    version integer NOT NULL,
    action character varying(16) NOT NULL,
    status character varying(16) NOT NULL,
    skill_proven boolean NOT NULL,
    pinned boolean NOT NULL,
    recorded_at character varying(32) NOT NULL,
    promoted_at character varying(32) NOT NULL,
    trained_at character varying(32) NOT NULL,
    data_version character varying(128) NOT NULL,
    sha256 character varying(64) NOT NULL,
    decision_id bigint NOT NULL,
    session integer,
    trained_through integer,
    stream_id character varying(64)
);
CREATE TABLE marketloop.cycles (
    id character varying(64) NOT NULL,
    trigger character varying(32) NOT NULL,
    reason text NOT NULL,
    started_at character varying(32) NOT NULL,
    ended_at character varying(32),
    outcome character varying(32) NOT NULL,
    document text NOT NULL,
    pid integer NOT NULL,
    host character varying(255) NOT NULL,
    boot_id character varying(64) NOT NULL,
    process_start character varying(64) NOT NULL
);
CREATE TABLE marketloop.decisions (
    id bigint NOT NULL,
    cycle_id character varying(64) NOT NULL,
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    version integer,
    verdict character varying(16) NOT NULL,
    reason_code character varying(32) NOT NULL,
    reason text NOT NULL,
    record text NOT NULL,
    decided_at character varying(32) NOT NULL
);
CREATE SEQUENCE marketloop.decisions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE marketloop.decisions_id_seq OWNED BY marketloop.decisions.id;
CREATE TABLE marketloop.events (
    id bigint NOT NULL,
    key character varying(255) NOT NULL,
    type character varying(64) NOT NULL,
    payload text NOT NULL,
    source character varying(128) NOT NULL,
    published_at character varying(32) NOT NULL,
    handled_at character varying(32),
    attempts integer NOT NULL,
    trouble text NOT NULL,
    result text NOT NULL
);
CREATE SEQUENCE marketloop.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE marketloop.events_id_seq OWNED BY marketloop.events.id;
CREATE TABLE marketloop.heartbeats (
    name character varying(64) NOT NULL,
    at character varying(32) NOT NULL,
    document text NOT NULL,
    pid integer NOT NULL,
    host character varying(255) NOT NULL,
    boot_id character varying(64) NOT NULL,
    process_start character varying(64) NOT NULL
);
CREATE TABLE marketloop.keys (
    id character varying(32) NOT NULL,
    name character varying(128) NOT NULL,
    role character varying(16) NOT NULL,
    digest character varying(64) NOT NULL,
    created_at character varying(32) NOT NULL,
    expires_at character varying(32),
    revoked_at character varying(32)
);
CREATE TABLE marketloop.leases (
    name character varying(64) NOT NULL,
    token integer NOT NULL,
    acquired_at character varying(32) NOT NULL,
    heartbeat_at character varying(32) NOT NULL,
    released_at character varying(32),
    pid integer NOT NULL,
    host character varying(255) NOT NULL,
    boot_id character varying(64) NOT NULL,
    process_start character varying(64) NOT NULL
);
CREATE TABLE marketloop.outbox (
    id bigint NOT NULL,
    topic character varying(32) NOT NULL,
    key character varying(255) NOT NULL,
    payload text NOT NULL,
    created_at character varying(32) NOT NULL,
    sent_at character varying(32),
    attempts integer NOT NULL,
    trouble text NOT NULL
);
CREATE SEQUENCE marketloop.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE marketloop.outbox_id_seq OWNED BY marketloop.outbox.id;
CREATE TABLE marketloop.requests (
    id character varying(64) NOT NULL,
    key text NOT NULL,
    trigger character varying(32) NOT NULL,
    reason text NOT NULL,
    families text NOT NULL,
    force boolean NOT NULL,
    choices text NOT NULL,
    requested_by text NOT NULL,
    requested_at character varying(32) NOT NULL,
    state character varying(16) NOT NULL,
    claimed_at character varying(32),
    cycle_id character varying(64),
    progress text NOT NULL,
    ended_at character varying(32),
    outcome character varying(32) NOT NULL,
    why_not text NOT NULL,
    pid integer NOT NULL,
    host character varying(255) NOT NULL,
    boot_id character varying(64) NOT NULL,
    process_start character varying(64) NOT NULL
);
CREATE TABLE marketloop.rollouts (
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    entry integer NOT NULL,
    mode character varying(16) NOT NULL,
    version integer,
    share double precision NOT NULL,
    salt text NOT NULL,
    reason text NOT NULL,
    recorded_at character varying(32) NOT NULL
);
CREATE TABLE marketloop.schema (
    version integer NOT NULL
);
CREATE TABLE marketloop.sightings (
    name character varying(64) NOT NULL,
    host character varying(255) NOT NULL,
    boot_id character varying(64) NOT NULL,
    token integer NOT NULL,
    heartbeat_at character varying(32) NOT NULL,
    tick double precision NOT NULL,
    seen_at character varying(32) NOT NULL
);
CREATE TABLE marketloop.skill_events (
    stream_id character varying(64) NOT NULL,
    session integer NOT NULL,
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    state character varying(16) NOT NULL,
    z double precision NOT NULL,
    n integer NOT NULL,
    recorded_at character varying(32) NOT NULL
);
CREATE TABLE marketloop.skill_years (
    stream_id character varying(64) NOT NULL,
    start_session integer NOT NULL,
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    n0 integer NOT NULL,
    k integer NOT NULL,
    alpha double precision NOT NULL,
    z_star double precision NOT NULL,
    opened_at character varying(32) NOT NULL
);
CREATE TABLE marketloop.streams (
    id character varying(64) NOT NULL,
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    fingerprint character varying(64) NOT NULL,
    opened_session integer NOT NULL,
    opened_at character varying(32) NOT NULL,
    closed_session integer,
    closed_because text
);
CREATE TABLE marketloop.trials (
    study character varying(64) NOT NULL,
    number integer NOT NULL,
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    recipe character varying(128) NOT NULL,
    state character varying(16) NOT NULL,
    value double precision,
    sharpe double precision,
    params text NOT NULL,
    reason text NOT NULL,
    recorded_at character varying(32) NOT NULL
);
CREATE TABLE marketloop.tunings (
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    entry integer NOT NULL,
    study character varying(64) NOT NULL,
    recipe character varying(128) NOT NULL,
    params text NOT NULL,
    objective character varying(32) NOT NULL,
    value double precision NOT NULL,
    trials integer NOT NULL,
    data_version character varying(128) NOT NULL,
    tuned_through integer NOT NULL,
    tuned_at character varying(32) NOT NULL,
    evidence text NOT NULL
);
CREATE TABLE marketloop.versions (
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    version integer NOT NULL,
    state character varying(16) NOT NULL,
    verdict character varying(16) NOT NULL,
    recipe character varying(128) NOT NULL,
    params text NOT NULL,
    data_version character varying(128) NOT NULL,
    sha256 character varying(64) NOT NULL,
    path text NOT NULL,
    trained_at character varying(32) NOT NULL,
    metrics text NOT NULL,
    baseline text NOT NULL,
    scorecard text NOT NULL,
    pid integer NOT NULL,
    host character varying(255) NOT NULL,
    boot_id character varying(64) NOT NULL,
    process_start character varying(64) NOT NULL
);
CREATE TABLE marketloop_scores.schema (
    version integer NOT NULL
);
CREATE TABLE marketloop_scores.scoreboards (
    family character varying(64) NOT NULL,
    config_key character varying(128) NOT NULL,
    version integer NOT NULL,
    as_of date NOT NULL,
    ticker character varying(32) NOT NULL,
    probability double precision,
    class character varying(32),
    signal character varying(16) NOT NULL,
    classes text NOT NULL,
    score double precision NOT NULL,
    low double precision,
    high double precision,
    written_at character varying(32) NOT NULL
);
ALTER TABLE ONLY marketloop.alarms ALTER COLUMN id SET DEFAULT nextval('marketloop.alarms_id_seq'::regclass);
ALTER TABLE ONLY marketloop.decisions ALTER COLUMN id SET DEFAULT nextval('marketloop.decisions_id_seq'::regclass);
ALTER TABLE ONLY marketloop.events ALTER COLUMN id SET DEFAULT nextval('marketloop.events_id_seq'::regclass);
ALTER TABLE ONLY marketloop.outbox ALTER COLUMN id SET DEFAULT nextval('marketloop.outbox_id_seq'::regclass);
INSERT INTO marketloop.alarms VALUES (1, 'kind 1, ''quoted''', 'key 1, ''quoted''', 'title 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "alarms", "row": 1}', '2026-01-02T12:01:00.123456Z', 1, '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop.alarms VALUES (2, 'kind 2, ''quoted''', 'key 2, ''quoted''', 'title 2, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "alarms", "row": 2}', '2026-01-02T12:02:00.123456Z', 2, '2026-01-02T12:02:00.123456Z');
INSERT INTO marketloop.alarms VALUES (3, 'kind 3, ''quoted''', 'key 3, ''quoted''', 'title 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "alarms", "row": 3}', '2026-01-02T12:03:00.123456Z', 3, '2026-01-02T12:03:00.123456Z');
INSERT INTO marketloop.blocks VALUES ('stream_id 1, ''quoted''', 1, 1, 1, 'nominee 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "blocks", "row": 1}', 1, 1, 'path 1, ''quoted''', 'sha256 1, ''quoted''', 'model_path 1, ''quoted''', '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop.blocks VALUES ('stream_id 2, ''quoted''', 2, 2, 2, 'nominee 2, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "blocks", "row": 2}', 2, 2, 'path 2, ''quoted''', 'sha256 2, ''quoted''', 'model_path 2, ''quoted''', '2026-01-02T12:02:00.123456Z');
INSERT INTO marketloop.blocks VALUES ('stream_id 3, ''quoted''', 3, 3, 3, 'nominee 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "blocks", "row": 3}', 3, 3, 'path 3, ''quoted''', 'sha256 3, ''quoted''', 'model_path 3, ''quoted''', '2026-01-02T12:03:00.123456Z');
INSERT INTO marketloop.champions VALUES ('price_predictor', 'rsi10_vol20_support20', 1, 1, 'action 1, ''quote', 'status 1, ''quote', false, false, '2026-01-02T12:01:00.123456Z', '2026-01-02T12:01:00.123456Z', '2026-01-02T12:01:00.123456Z', 'data_version 1, ''quoted''', 'sha256 1, ''quoted''', 1, 1, 1, 'stream_id 1, ''quoted''');
INSERT INTO marketloop.champions VALUES ('price_predictor', 'rsi10_vol20_support20', 2, 2, 'action 2, ''quote', 'status 2, ''quote', true, true, '2026-01-02T12:02:00.123456Z', '2026-01-02T12:02:00.123456Z', '2026-01-02T12:02:00.123456Z', 'data_version 2, ''quoted''', 'sha256 2, ''quoted''', 2, NULL, NULL, NULL);
INSERT INTO marketloop.champions VALUES ('price_predictor', 'rsi10_vol20_support20', 3, 3, 'action 3, ''quote', 'status 3, ''quote', false, false, '2026-01-02T12:03:00.123456Z', '2026-01-02T12:03:00.123456Z', '2026-01-02T12:03:00.123456Z', 'data_version 3, ''quoted''', 'sha256 3, ''quoted''', 3, 3, 3, 'stream_id 3, ''quoted''');
INSERT INTO marketloop.cycles VALUES ('id 1, ''quoted''', 'trigger 1, ''quoted''', 'reason 1, ''quoted''', '2026-01-02T12:01:00.123456Z', '2026-01-02T12:01:00.123456Z', 'outcome 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "cycles", "row": 1}', 1, 'host 1, ''quoted''', 'boot_id 1, ''quoted''', 'process_start 1, ''quoted''');
INSERT INTO marketloop.cycles VALUES ('id 2, ''quoted''', 'trigger 2, ''quoted''', 'reason 2, ''quoted''', '2026-01-02T12:02:00.123456Z', NULL, 'outcome 2, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "cycles", "row": 2}', 2, 'host 2, ''quoted''', 'boot_id 2, ''quoted''', 'process_start 2, ''quoted''');
INSERT INTO marketloop.cycles VALUES ('id 3, ''quoted''', 'trigger 3, ''quoted''', 'reason 3, ''quoted''', '2026-01-02T12:03:00.123456Z', '2026-01-02T12:03:00.123456Z', 'outcome 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "cycles", "row": 3}', 3, 'host 3, ''quoted''', 'boot_id 3, ''quoted''', 'process_start 3, ''quoted''');
INSERT INTO marketloop.decisions VALUES (1, 'cycle_id 1, ''quoted''', 'price_predictor', 'rsi10_vol20_support20', 1, 'verdict 1, ''quot', 'reason_code 1, ''quoted''', 'reason 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "decisions", "row": 1}', '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop.decisions VALUES (2, 'cycle_id 2, ''quoted''', 'price_predictor', 'rsi10_vol20_support20', NULL, 'verdict 2, ''quot', 'reason_code 2, ''quoted''', 'reason 2, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "decisions", "row": 2}', '2026-01-02T12:02:00.123456Z');
INSERT INTO marketloop.decisions VALUES (3, 'cycle_id 3, ''quoted''', 'price_predictor', 'rsi10_vol20_support20', 3, 'verdict 3, ''quot', 'reason_code 3, ''quoted''', 'reason 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "decisions", "row": 3}', '2026-01-02T12:03:00.123456Z');
INSERT INTO marketloop.events VALUES (1, 'key 1, ''quoted''', 'type 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 1}', 'source 1, ''quoted''', '2026-01-02T12:01:00.123456Z', '2026-01-02T12:01:00.123456Z', 1, 'trouble 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 1}');
INSERT INTO marketloop.events VALUES (2, 'key 2, ''quoted''', 'type 2, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 2}', 'source 2, ''quoted''', '2026-01-02T12:02:00.123456Z', NULL, 2, 'trouble 2, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 2}');
INSERT INTO marketloop.events VALUES (3, 'key 3, ''quoted''', 'type 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 3}', 'source 3, ''quoted''', '2026-01-02T12:03:00.123456Z', '2026-01-02T12:03:00.123456Z', 3, 'trouble 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 3}');
INSERT INTO marketloop.heartbeats VALUES ('name 1, ''quoted''', '2026-01-02T12:01:00.123456Z', '{"naïve": "it''s \"ok\"; -- $$", "of": "heartbeats", "row": 1}', 1, 'host 1, ''quoted''', 'boot_id 1, ''quoted''', 'process_start 1, ''quoted''');
INSERT INTO marketloop.heartbeats VALUES ('name 2, ''quoted''', '2026-01-02T12:02:00.123456Z', '{"naïve": "it''s \"ok\"; -- $$", "of": "heartbeats", "row": 2}', 2, 'host 2, ''quoted''', 'boot_id 2, ''quoted''', 'process_start 2, ''quoted''');
INSERT INTO marketloop.heartbeats VALUES ('name 3, ''quoted''', '2026-01-02T12:03:00.123456Z', '{"naïve": "it''s \"ok\"; -- $$", "of": "heartbeats", "row": 3}', 3, 'host 3, ''quoted''', 'boot_id 3, ''quoted''', 'process_start 3, ''quoted''');
INSERT INTO marketloop.keys VALUES ('id 1, ''quoted''', 'name 1, ''quoted''', 'role 1, ''quoted''', 'digest 1, ''quoted''', '2026-01-02T12:01:00.123456Z', '2026-01-02T12:01:00.123456Z', '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop.keys VALUES ('id 2, ''quoted''', 'name 2, ''quoted''', 'role 2, ''quoted''', 'digest 2, ''quoted''', '2026-01-02T12:02:00.123456Z', NULL, NULL);
INSERT INTO marketloop.keys VALUES ('id 3, ''quoted''', 'name 3, ''quoted''', 'role 3, ''quoted''', 'digest 3, ''quoted''', '2026-01-02T12:03:00.123456Z', '2026-01-02T12:03:00.123456Z', '2026-01-02T12:03:00.123456Z');
INSERT INTO marketloop.leases VALUES ('name 1, ''quoted''', 1, '2026-01-02T12:01:00.123456Z', '2026-01-02T12:01:00.123456Z', '2026-01-02T12:01:00.123456Z', 1, 'host 1, ''quoted''', 'boot_id 1, ''quoted''', 'process_start 1, ''quoted''');
INSERT INTO marketloop.leases VALUES ('name 2, ''quoted''', 2, '2026-01-02T12:02:00.123456Z', '2026-01-02T12:02:00.123456Z', NULL, 2, 'host 2, ''quoted''', 'boot_id 2, ''quoted''', 'process_start 2, ''quoted''');
INSERT INTO marketloop.leases VALUES ('name 3, ''quoted''', 3, '2026-01-02T12:03:00.123456Z', '2026-01-02T12:03:00.123456Z', '2026-01-02T12:03:00.123456Z', 3, 'host 3, ''quoted''', 'boot_id 3, ''quoted''', 'process_start 3, ''quoted''');
INSERT INTO marketloop.outbox VALUES (1, 'topic 1, ''quoted''', 'key 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "outbox", "row": 1}', '2026-01-02T12:01:00.123456Z', '2026-01-02T12:01:00.123456Z', 1, 'trouble 1, ''quoted''');
INSERT INTO marketloop.outbox VALUES (2, 'topic 2, ''quoted''', 'key 2, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "outbox", "row": 2}', '2026-01-02T12:02:00.123456Z', NULL, 2, 'trouble 2, ''quoted''');
INSERT INTO marketloop.outbox VALUES (3, 'topic 3, ''quoted''', 'key 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "outbox", "row": 3}', '2026-01-02T12:03:00.123456Z', '2026-01-02T12:03:00.123456Z', 3, 'trouble 3, ''quoted''');
INSERT INTO marketloop.requests VALUES ('id 1, ''quoted''', 'key 1, ''quoted''', 'trigger 1, ''quoted''', 'reason 1, ''quoted''', '{"names": ["family 1, ''quoted''"]}', false, '{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 1}', 'requested_by 1, ''quoted''', '2026-01-02T12:01:00.123456Z', 'state 1, ''quoted', '2026-01-02T12:01:00.123456Z', 'cycle_id 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 1}', '2026-01-02T12:01:00.123456Z', 'outcome 1, ''quoted''', 'why_not 1, ''quoted''', 1, 'host 1, ''quoted''', 'boot_id 1, ''quoted''', 'process_start 1, ''quoted''');
INSERT INTO marketloop.requests VALUES ('id 2, ''quoted''', 'key 2, ''quoted''', 'trigger 2, ''quoted''', 'reason 2, ''quoted''', '{"names": ["family 2, ''quoted''"]}', true, '{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 2}', 'requested_by 2, ''quoted''', '2026-01-02T12:02:00.123456Z', 'state 2, ''quoted', NULL, NULL, '{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 2}', NULL, 'outcome 2, ''quoted''', 'why_not 2, ''quoted''', 2, 'host 2, ''quoted''', 'boot_id 2, ''quoted''', 'process_start 2, ''quoted''');
INSERT INTO marketloop.requests VALUES ('id 3, ''quoted''', 'key 3, ''quoted''', 'trigger 3, ''quoted''', 'reason 3, ''quoted''', '{"names": ["family 3, ''quoted''"]}', false, '{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 3}', 'requested_by 3, ''quoted''', '2026-01-02T12:03:00.123456Z', 'state 3, ''quoted', '2026-01-02T12:03:00.123456Z', 'cycle_id 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 3}', '2026-01-02T12:03:00.123456Z', 'outcome 3, ''quoted''', 'why_not 3, ''quoted''', 3, 'host 3, ''quoted''', 'boot_id 3, ''quoted''', 'process_start 3, ''quoted''');
INSERT INTO marketloop.rollouts VALUES ('price_predictor', 'rsi10_vol20_support20', 1, 'mode 1, ''quoted''', 1, 1.1, 'salt 1, ''quoted''', 'reason 1, ''quoted''', '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop.rollouts VALUES ('price_predictor', 'rsi10_vol20_support20', 2, 'mode 2, ''quoted''', NULL, 0.3333333333333333, 'salt 2, ''quoted''', 'reason 2, ''quoted''', '2026-01-02T12:02:00.123456Z');
INSERT INTO marketloop.rollouts VALUES ('price_predictor', 'rsi10_vol20_support20', 3, 'mode 3, ''quoted''', 3, 3.1, 'salt 3, ''quoted''', 'reason 3, ''quoted''', '2026-01-02T12:03:00.123456Z');
INSERT INTO marketloop.schema VALUES (3);
INSERT INTO marketloop.sightings VALUES ('name 1, ''quoted''', 'host 1, ''quoted''', 'boot_id 1, ''quoted''', 1, '2026-01-02T12:01:00.123456Z', 1.1, '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop.sightings VALUES ('name 2, ''quoted''', 'host 2, ''quoted''', 'boot_id 2, ''quoted''', 2, '2026-01-02T12:02:00.123456Z', 0.3333333333333333, '2026-01-02T12:02:00.123456Z');
INSERT INTO marketloop.sightings VALUES ('name 3, ''quoted''', 'host 3, ''quoted''', 'boot_id 3, ''quoted''', 3, '2026-01-02T12:03:00.123456Z', 3.1, '2026-01-02T12:03:00.123456Z');
INSERT INTO marketloop.skill_events VALUES ('stream_id 1, ''quoted''', 1, 'price_predictor', 'rsi10_vol20_support20', 'state 1, ''quoted', 1.1, 1, '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop.skill_events VALUES ('stream_id 2, ''quoted''', 2, 'price_predictor', 'rsi10_vol20_support20', 'state 2, ''quoted', 0.3333333333333333, 2, '2026-01-02T12:02:00.123456Z');
INSERT INTO marketloop.skill_events VALUES ('stream_id 3, ''quoted''', 3, 'price_predictor', 'rsi10_vol20_support20', 'state 3, ''quoted', 3.1, 3, '2026-01-02T12:03:00.123456Z');
INSERT INTO marketloop.skill_years VALUES ('stream_id 1, ''quoted''', 1, 'price_predictor', 'rsi10_vol20_support20', 1, 1, 1.1, 1.1, '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop.skill_years VALUES ('stream_id 2, ''quoted''', 2, 'price_predictor', 'rsi10_vol20_support20', 2, 2, 0.3333333333333333, 0.3333333333333333, '2026-01-02T12:02:00.123456Z');
INSERT INTO marketloop.skill_years VALUES ('stream_id 3, ''quoted''', 3, 'price_predictor', 'rsi10_vol20_support20', 3, 3, 3.1, 3.1, '2026-01-02T12:03:00.123456Z');
INSERT INTO marketloop.streams VALUES ('id 1, ''quoted''', 'price_predictor', 'rsi10_vol20_support20', 'fingerprint 1, ''quoted''', 1, '2026-01-02T12:01:00.123456Z', 1, 'closed_because 1, ''quoted''');
INSERT INTO marketloop.streams VALUES ('id 2, ''quoted''', 'price_predictor', 'rsi10_vol20_support20', 'fingerprint 2, ''quoted''', 2, '2026-01-02T12:02:00.123456Z', NULL, NULL);
INSERT INTO marketloop.streams VALUES ('id 3, ''quoted''', 'price_predictor', 'rsi10_vol20_support20', 'fingerprint 3, ''quoted''', 3, '2026-01-02T12:03:00.123456Z', 3, 'closed_because 3, ''quoted''');
INSERT INTO marketloop.trials VALUES ('study 1, ''quoted''', 1, 'price_predictor', 'rsi10_vol20_support20', 'recipe 1, ''quoted''', 'state 1, ''quoted', 1.1, 1.1, '{"naïve": "it''s \"ok\"; -- $$", "of": "trials", "row": 1}', 'reason 1, ''quoted''', '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop.trials VALUES ('study 2, ''quoted''', 2, 'price_predictor', 'rsi10_vol20_support20', 'recipe 2, ''quoted''', 'state 2, ''quoted', NULL, NULL, '{"naïve": "it''s \"ok\"; -- $$", "of": "trials", "row": 2}', 'reason 2, ''quoted''', '2026-01-02T12:02:00.123456Z');
INSERT INTO marketloop.trials VALUES ('study 3, ''quoted''', 3, 'price_predictor', 'rsi10_vol20_support20', 'recipe 3, ''quoted''', 'state 3, ''quoted', 3.1, 3.1, '{"naïve": "it''s \"ok\"; -- $$", "of": "trials", "row": 3}', 'reason 3, ''quoted''', '2026-01-02T12:03:00.123456Z');
INSERT INTO marketloop.tunings VALUES ('price_predictor', 'rsi10_vol20_support20', 1, 'study 1, ''quoted''', 'recipe 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 1}', 'objective 1, ''quoted''', 1.1, 1, 'data_version 1, ''quoted''', 1, '2026-01-02T12:01:00.123456Z', '{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 1}');
INSERT INTO marketloop.tunings VALUES ('price_predictor', 'rsi10_vol20_support20', 2, 'study 2, ''quoted''', 'recipe 2, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 2}', 'objective 2, ''quoted''', 0.3333333333333333, 2, 'data_version 2, ''quoted''', 2, '2026-01-02T12:02:00.123456Z', '{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 2}');
INSERT INTO marketloop.tunings VALUES ('price_predictor', 'rsi10_vol20_support20', 3, 'study 3, ''quoted''', 'recipe 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 3}', 'objective 3, ''quoted''', 3.1, 3, 'data_version 3, ''quoted''', 3, '2026-01-02T12:03:00.123456Z', '{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 3}');
INSERT INTO marketloop.versions VALUES ('price_predictor', 'rsi10_vol20_support20', 1, 'state 1, ''quoted', 'verdict 1, ''quot', 'recipe 1, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 1}', 'data_version 1, ''quoted''', 'sha256 1, ''quoted''', 'path 1, ''quoted''', '2026-01-02T12:01:00.123456Z', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 1}', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 1}', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 1}', 1, 'host 1, ''quoted''', 'boot_id 1, ''quoted''', 'process_start 1, ''quoted''');
INSERT INTO marketloop.versions VALUES ('price_predictor', 'rsi10_vol20_support20', 2, 'state 2, ''quoted', 'verdict 2, ''quot', 'recipe 2, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 2}', 'data_version 2, ''quoted''', 'sha256 2, ''quoted''', 'path 2, ''quoted''', '2026-01-02T12:02:00.123456Z', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 2}', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 2}', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 2}', 2, 'host 2, ''quoted''', 'boot_id 2, ''quoted''', 'process_start 2, ''quoted''');
INSERT INTO marketloop.versions VALUES ('price_predictor', 'rsi10_vol20_support20', 3, 'state 3, ''quoted', 'verdict 3, ''quot', 'recipe 3, ''quoted''', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 3}', 'data_version 3, ''quoted''', 'sha256 3, ''quoted''', 'path 3, ''quoted''', '2026-01-02T12:03:00.123456Z', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 3}', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 3}', '{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 3}', 3, 'host 3, ''quoted''', 'boot_id 3, ''quoted''', 'process_start 3, ''quoted''');
INSERT INTO marketloop_scores.schema VALUES (3);
INSERT INTO marketloop_scores.scoreboards VALUES ('price_predictor', 'rsi10_vol20_support20', 1, '2026-01-01', 'ticker 1, ''quoted''', 1.1, 'class 1, ''quoted''', 'signal 1, ''quote', '{"naïve": "it''s \"ok\"; -- $$", "of": "scoreboards", "row": 1}', 1.1, 1.1, 1.1, '2026-01-02T12:01:00.123456Z');
INSERT INTO marketloop_scores.scoreboards VALUES ('price_predictor', 'rsi10_vol20_support20', 2, '2026-01-02', 'ticker 2, ''quoted''', NULL, NULL, 'signal 2, ''quote', '{"naïve": "it''s \"ok\"; -- $$", "of": "scoreboards", "row": 2}', 0.3333333333333333, NULL, NULL, '2026-01-02T12:02:00.123456Z');
INSERT INTO marketloop_scores.scoreboards VALUES ('price_predictor', 'rsi10_vol20_support20', 3, '2026-01-03', 'ticker 3, ''quoted''', 3.1, 'class 3, ''quoted''', 'signal 3, ''quote', '{"naïve": "it''s \"ok\"; -- $$", "of": "scoreboards", "row": 3}', 3.1, 3.1, 3.1, '2026-01-02T12:03:00.123456Z');
SELECT pg_catalog.setval('marketloop.alarms_id_seq', 1, false);
SELECT pg_catalog.setval('marketloop.decisions_id_seq', 1, false);
SELECT pg_catalog.setval('marketloop.events_id_seq', 1, false);
SELECT pg_catalog.setval('marketloop.outbox_id_seq', 1, false);
ALTER TABLE ONLY marketloop.alarms
    ADD CONSTRAINT alarms_pkey PRIMARY KEY (id);
ALTER TABLE ONLY marketloop.blocks
    ADD CONSTRAINT blocks_pkey PRIMARY KEY (stream_id, first_session);
ALTER TABLE ONLY marketloop.champions
    ADD CONSTRAINT champions_pkey PRIMARY KEY (family, config_key, entry);
ALTER TABLE ONLY marketloop.cycles
    ADD CONSTRAINT cycles_pkey PRIMARY KEY (id);
ALTER TABLE ONLY marketloop.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY marketloop.events
    ADD CONSTRAINT events_key_key UNIQUE (key);
ALTER TABLE ONLY marketloop.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY marketloop.heartbeats
    ADD CONSTRAINT heartbeats_pkey PRIMARY KEY (name);
ALTER TABLE ONLY marketloop.keys
    ADD CONSTRAINT keys_name_key UNIQUE (name);
ALTER TABLE ONLY marketloop.keys
    ADD CONSTRAINT keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY marketloop.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);
ALTER TABLE ONLY marketloop.outbox
    ADD CONSTRAINT outbox_key_key UNIQUE (key);
ALTER TABLE ONLY marketloop.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY marketloop.requests
    ADD CONSTRAINT requests_key_key UNIQUE (key);
ALTER TABLE ONLY marketloop.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (id);
ALTER TABLE ONLY marketloop.rollouts
    ADD CONSTRAINT rollouts_pkey PRIMARY KEY (family, config_key, entry);
ALTER TABLE ONLY marketloop.schema
    ADD CONSTRAINT schema_pkey PRIMARY KEY (version);
ALTER TABLE ONLY marketloop.sightings
    ADD CONSTRAINT sightings_pkey PRIMARY KEY (name, host);
ALTER TABLE ONLY marketloop.skill_events
    ADD CONSTRAINT skill_events_pkey PRIMARY KEY (stream_id, session);
ALTER TABLE ONLY marketloop.skill_years
    ADD CONSTRAINT skill_years_pkey PRIMARY KEY (stream_id, start_session);
ALTER TABLE ONLY marketloop.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (id);
ALTER TABLE ONLY marketloop.trials
    ADD CONSTRAINT trials_pkey PRIMARY KEY (study, number);
ALTER TABLE ONLY marketloop.tunings
    ADD CONSTRAINT tunings_pkey PRIMARY KEY (family, config_key, entry);
ALTER TABLE ONLY marketloop.versions
    ADD CONSTRAINT versions_pkey PRIMARY KEY (family, config_key, version);
ALTER TABLE ONLY marketloop_scores.schema
    ADD CONSTRAINT schema_pkey PRIMARY KEY (version);
ALTER TABLE ONLY marketloop_scores.scoreboards
    ADD CONSTRAINT scoreboards_pkey PRIMARY KEY (family, config_key, version, as_of, ticker);
CREATE INDEX alarms_by_key ON marketloop.alarms USING btree (key, last_at);
CREATE INDEX decisions_by_slot ON marketloop.decisions USING btree (family, config_key, version);
CREATE INDEX events_pending ON marketloop.events USING btree (handled_at, id);
CREATE INDEX outbox_pending ON marketloop.outbox USING btree (topic, sent_at, id);
CREATE INDEX requests_by_state ON marketloop.requests USING btree (state, requested_at);
CREATE INDEX requests_by_trigger ON marketloop.requests USING btree (trigger, requested_at);
CREATE INDEX trials_by_slot ON marketloop.trials USING btree (family, config_key);
CREATE TRIGGER blocks_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON marketloop.blocks FOR EACH STATEMENT EXECUTE FUNCTION marketloop.blocks_refuse();
CREATE TRIGGER champions_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON marketloop.champions FOR EACH STATEMENT EXECUTE FUNCTION marketloop.champions_refuse();
CREATE TRIGGER decisions_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON marketloop.decisions FOR EACH STATEMENT EXECUTE FUNCTION marketloop.decisions_refuse();
CREATE TRIGGER rollouts_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON marketloop.rollouts FOR EACH STATEMENT EXECUTE FUNCTION marketloop.rollouts_refuse();
CREATE TRIGGER skill_events_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON marketloop.skill_events FOR EACH STATEMENT EXECUTE FUNCTION marketloop.skill_events_refuse();
CREATE TRIGGER skill_years_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON marketloop.skill_years FOR EACH STATEMENT EXECUTE FUNCTION marketloop.skill_years_refuse();
CREATE TRIGGER trials_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON marketloop.trials FOR EACH STATEMENT EXECUTE FUNCTION marketloop.trials_refuse();
CREATE TRIGGER tunings_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON marketloop.tunings FOR EACH STATEMENT EXECUTE FUNCTION marketloop.tunings_refuse();
CREATE TRIGGER scoreboards_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON marketloop_scores.scoreboards FOR EACH STATEMENT EXECUTE FUNCTION marketloop_scores.scoreboards_refuse();
