-- state.db
BEGIN TRANSACTION;
CREATE TABLE alarms (
	id INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	title TEXT NOT NULL, 
	document TEXT NOT NULL, 
	raised_at VARCHAR(32) NOT NULL, 
	repeats INTEGER NOT NULL, 
	last_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "alarms" VALUES(1,'kind 1, ''quoted''','key 1, ''quoted''','title 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "alarms", "row": 1}','2026-01-02T12:01:00.123456Z',1,'2026-01-02T12:01:00.123456Z');
INSERT INTO "alarms" VALUES(2,'kind 2, ''quoted''','key 2, ''quoted''','title 2, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "alarms", "row": 2}','2026-01-02T12:02:00.123456Z',2,'2026-01-02T12:02:00.123456Z');
INSERT INTO "alarms" VALUES(3,'kind 3, ''quoted''','key 3, ''quoted''','title 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "alarms", "row": 3}','2026-01-02T12:03:00.123456Z',3,'2026-01-02T12:03:00.123456Z');
CREATE TABLE blocks (
	stream_id VARCHAR(64) NOT NULL, 
	first_session INTEGER NOT NULL, 
	last_session INTEGER NOT NULL, 
	block INTEGER NOT NULL, 
	nominee TEXT NOT NULL, 
	params TEXT NOT NULL, 
	train_through INTEGER NOT NULL, 
	rows INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	model_path TEXT NOT NULL, 
	written_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (stream_id, first_session)
);
INSERT INTO "blocks" VALUES('stream_id 1, ''quoted''',1,1,1,'nominee 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "blocks", "row": 1}',1,1,'path 1, ''quoted''','sha256 1, ''quoted''','model_path 1, ''quoted''','2026-01-02T12:01:00.123456Z');
INSERT INTO "blocks" VALUES('stream_id 2, ''quoted''',2,2,2,'nominee 2, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "blocks", "row": 2}',2,2,'path 2, ''quoted''','sha256 2, ''quoted''','model_path 2, ''quoted''','2026-01-02T12:02:00.123456Z');
INSERT INTO "blocks" VALUES('stream_id 3, ''quoted''',3,3,3,'nominee 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "blocks", "row": 3}',3,3,'path 3, ''quoted''','sha256 3, ''quoted''','model_path 3, ''quoted''','2026-01-02T12:03:00.123456Z');
CREATE TABLE champions (
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	entry INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	skill_proven BOOLEAN NOT NULL, 
	pinned BOOLEAN NOT NULL, 
	recorded_at VARCHAR(32) NOT NULL, 
	promoted_at VARCHAR(32) NOT NULL, 
	trained_at VARCHAR(32) NOT NULL, 
	data_version VARCHAR(128) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	decision_id INTEGER NOT NULL, 
	session INTEGER, 
	trained_through INTEGER, 
	stream_id VARCHAR(64), 
	PRIMARY KEY (family, config_key, entry)
);
INSERT INTO "champions" VALUES('price_predictor','rsi10_vol20_support20',1,1,'action 1, ''quote','status 1, ''quote',0,0,'2026-01-02T12:01:00.123456Z','2026-01-02T12:01:00.123456Z','2026-01-02T12:01:00.123456Z','data_version 1, ''quoted''','sha256 1, ''quoted''',1,1,1,'stream_id 1, ''quoted''');
INSERT INTO "champions" VALUES('price_predictor','rsi10_vol20_support20',2,2,'action 2, ''quote','status 2, ''quote',1,1,'2026-01-02T12:02:00.123456Z','2026-01-02T12:02:00.123456Z','2026-01-02T12:02:00.123456Z','data_version 2, ''quoted''','sha256 2, ''quoted''',2,NULL,NULL,NULL);
INSERT INTO "champions" VALUES('price_predictor','rsi10_vol20_support20',3,3,'action 3, ''quote','status 3, ''quote',0,0,'2026-01-02T12:03:00.123456Z','2026-01-02T12:03:00.123456Z','2026-01-02T12:03:00.123456Z','data_version 3, ''quoted''','sha256 3, ''quoted''',3,3,3,'stream_id 3, ''quoted''');
CREATE TABLE cycles (
	id VARCHAR(64) NOT NULL, 
	"trigger" VARCHAR(32) NOT NULL, 
	reason TEXT NOT NULL, 
	started_at VARCHAR(32) NOT NULL, 
	ended_at VARCHAR(32), 
	outcome VARCHAR(32) NOT NULL, 
	document TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	boot_id VARCHAR(64) NOT NULL, 
	process_start VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "cycles" VALUES('id 1, ''quoted''','trigger 1, ''quoted''','reason 1, ''quoted''','2026-01-02T12:01:00.123456Z','2026-01-02T12:01:00.123456Z','outcome 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "cycles", "row": 1}',1,'host 1, ''quoted''','boot_id 1, ''quoted''','process_start 1, ''quoted''');
INSERT INTO "cycles" VALUES('id 2, ''quoted''','trigger 2, ''quoted''','reason 2, ''quoted''','2026-01-02T12:02:00.123456Z',NULL,'outcome 2, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "cycles", "row": 2}',2,'host 2, ''quoted''','boot_id 2, ''quoted''','process_start 2, ''quoted''');
INSERT INTO "cycles" VALUES('id 3, ''quoted''','trigger 3, ''quoted''','reason 3, ''quoted''','2026-01-02T12:03:00.123456Z','2026-01-02T12:03:00.123456Z','outcome 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "cycles", "row": 3}',3,'host 3, ''quoted''','boot_id 3, ''quoted''','process_start 3, ''quoted''');
CREATE TABLE decisions (
	id INTEGER NOT NULL, 
	cycle_id VARCHAR(64) NOT NULL, 
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	version INTEGER, 
	verdict VARCHAR(16) NOT NULL, 
	reason_code VARCHAR(32) NOT NULL, 
	reason TEXT NOT NULL, 
	record TEXT NOT NULL, 
	decided_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "decisions" VALUES(1,'cycle_id 1, ''quoted''','price_predictor','rsi10_vol20_support20',1,'verdict 1, ''quot','reason_code 1, ''quoted''','reason 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "decisions", "row": 1}','2026-01-02T12:01:00.123456Z');
INSERT INTO "decisions" VALUES(2,'cycle_id 2, ''quoted''','price_predictor','rsi10_vol20_support20',NULL,'verdict 2, ''quot','reason_code 2, ''quoted''','reason 2, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "decisions", "row": 2}','2026-01-02T12:02:00.123456Z');
INSERT INTO "decisions" VALUES(3,'cycle_id 3, ''quoted''','price_predictor','rsi10_vol20_support20',3,'verdict 3, ''quot','reason_code 3, ''quoted''','reason 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "decisions", "row": 3}','2026-01-02T12:03:00.123456Z');
CREATE TABLE events (
	id INTEGER NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	type VARCHAR(64) NOT NULL, 
	payload TEXT NOT NULL, 
	source VARCHAR(128) NOT NULL, 
	published_at VARCHAR(32) NOT NULL, 
	handled_at VARCHAR(32), 
	attempts INTEGER NOT NULL, 
	trouble TEXT NOT NULL, 
	result TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
INSERT INTO "events" VALUES(1,'key 1, ''quoted''','type 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 1}','source 1, ''quoted''','2026-01-02T12:01:00.123456Z','2026-01-02T12:01:00.123456Z',1,'trouble 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 1}');
INSERT INTO "events" VALUES(2,'key 2, ''quoted''','type 2, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 2}','source 2, ''quoted''','2026-01-02T12:02:00.123456Z',NULL,2,'trouble 2, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 2}');
INSERT INTO "events" VALUES(3,'key 3, ''quoted''','type 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 3}','source 3, ''quoted''','2026-01-02T12:03:00.123456Z','2026-01-02T12:03:00.123456Z',3,'trouble 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "events", "row": 3}');
CREATE TABLE heartbeats (
	name VARCHAR(64) NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	document TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	boot_id VARCHAR(64) NOT NULL, 
	process_start VARCHAR(64) NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "heartbeats" VALUES('name 1, ''quoted''','2026-01-02T12:01:00.123456Z','{"naïve": "it''s \"ok\"; -- $$", "of": "heartbeats", "row": 1}',1,'host 1, ''quoted''','boot_id 1, ''quoted''','process_start 1, ''quoted''');
INSERT INTO "heartbeats" VALUES('name 2, ''quoted''','2026-01-02T12:02:00.123456Z','{"naïve": "it''s \"ok\"; -- $$", "of": "heartbeats", "row": 2}',2,'host 2, ''quoted''','boot_id 2, ''quoted''','process_start 2, ''quoted''');
INSERT INTO "heartbeats" VALUES('name 3, ''quoted''','2026-01-02T12:03:00.123456Z','{"naïve": "it''s \"ok\"; -- $$", "of": "heartbeats", "row": 3}',3,'host 3, ''quoted''','boot_id 3, ''quoted''','process_start 3, ''quoted''');
CREATE TABLE keys (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	expires_at VARCHAR(32), 
	revoked_at VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "keys" VALUES('id 1, ''quoted''','name 1, ''quoted''','role 1, ''quoted''','digest 1, ''quoted''','2026-01-02T12:01:00.123456Z','2026-01-02T12:01:00.123456Z','2026-01-02T12:01:00.123456Z');
INSERT INTO "keys" VALUES('id 2, ''quoted''','name 2, ''quoted''','role 2, ''quoted''','digest 2, ''quoted''','2026-01-02T12:02:00.123456Z',NULL,NULL);
INSERT INTO "keys" VALUES('id 3, ''quoted''','name 3, ''quoted''','role 3, ''quoted''','digest 3, ''quoted''','2026-01-02T12:03:00.123456Z','2026-01-02T12:03:00.123456Z','2026-01-02T12:03:00.123456Z');
CREATE TABLE leases (
	name VARCHAR(64) NOT NULL, 
	token INTEGER NOT NULL, 
	acquired_at VARCHAR(32) NOT NULL, 
	heartbeat_at VARCHAR(32) NOT NULL, 
	released_at VARCHAR(32), 
	pid INTEGER NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	boot_id VARCHAR(64) NOT NULL, 
	process_start VARCHAR(64) NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "leases" VALUES('name 1, ''quoted''',1,'2026-01-02T12:01:00.123456Z','2026-01-02T12:01:00.123456Z','2026-01-02T12:01:00.123456Z',1,'host 1, ''quoted''','boot_id 1, ''quoted''','process_start 1, ''quoted''');
INSERT INTO "leases" VALUES('name 2, ''quoted''',2,'2026-01-02T12:02:00.123456Z','2026-01-02T12:02:00.123456Z',NULL,2,'host 2, ''quoted''','boot_id 2, ''quoted''','process_start 2, ''quoted''');
INSERT INTO "leases" VALUES('name 3, ''quoted''',3,'2026-01-02T12:03:00.123456Z','2026-01-02T12:03:00.123456Z','2026-01-02T12:03:00.123456Z',3,'host 3, ''quoted''','boot_id 3, ''quoted''','process_start 3, ''quoted''');
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	topic VARCHAR(32) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	payload TEXT NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	sent_at VARCHAR(32), 
	attempts INTEGER NOT NULL, 
	trouble TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
INSERT INTO "outbox" VALUES(1,'topic 1, ''quoted''','key 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "outbox", "row": 1}','2026-01-02T12:01:00.123456Z','2026-01-02T12:01:00.123456Z',1,'trouble 1, ''quoted''');
INSERT INTO "outbox" VALUES(2,'topic 2, ''quoted''','key 2, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "outbox", "row": 2}','2026-01-02T12:02:00.123456Z',NULL,2,'trouble 2, ''quoted''');
INSERT INTO "outbox" VALUES(3,'topic 3, ''quoted''','key 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "outbox", "row": 3}','2026-01-02T12:03:00.123456Z','2026-01-02T12:03:00.123456Z',3,'trouble 3, ''quoted''');
CREATE TABLE requests (
	id VARCHAR(64) NOT NULL, 
	"key" TEXT NOT NULL, 
	"trigger" VARCHAR(32) NOT NULL, 
	reason TEXT NOT NULL, 
	families TEXT NOT NULL, 
	force BOOLEAN NOT NULL, 
	choices TEXT NOT NULL, 
	requested_by TEXT NOT NULL, 
	requested_at VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	claimed_at VARCHAR(32), 
	cycle_id VARCHAR(64), 
	progress TEXT NOT NULL, 
	ended_at VARCHAR(32), 
	outcome VARCHAR(32) NOT NULL, 
	why_not TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	boot_id VARCHAR(64) NOT NULL, 
	process_start VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
INSERT INTO "requests" VALUES('id 1, ''quoted''','key 1, ''quoted''','trigger 1, ''quoted''','reason 1, ''quoted''','{"names": ["family 1, ''quoted''"]}',0,'{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 1}','requested_by 1, ''quoted''','2026-01-02T12:01:00.123456Z','state 1, ''quoted','2026-01-02T12:01:00.123456Z','cycle_id 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 1}','2026-01-02T12:01:00.123456Z','outcome 1, ''quoted''','why_not 1, ''quoted''',1,'host 1, ''quoted''','boot_id 1, ''quoted''','process_start 1, ''quoted''');
INSERT INTO "requests" VALUES('id 2, ''quoted''','key 2, ''quoted''','trigger 2, ''quoted''','reason 2, ''quoted''','{"names": ["family 2, ''quoted''"]}',1,'{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 2}','requested_by 2, ''quoted''','2026-01-02T12:02:00.123456Z','state 2, ''quoted',NULL,NULL,'{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 2}',NULL,'outcome 2, ''quoted''','why_not 2, ''quoted''',2,'host 2, ''quoted''','boot_id 2, ''quoted''','process_start 2, ''quoted''');
INSERT INTO "requests" VALUES('id 3, ''quoted''','key 3, ''quoted''','trigger 3, ''quoted''','reason 3, ''quoted''','{"names": ["family 3, ''quoted''"]}',0,'{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 3}','requested_by 3, ''quoted''','2026-01-02T12:03:00.123456Z','state 3, ''quoted','2026-01-02T12:03:00.123456Z','cycle_id 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "requests", "row": 3}','2026-01-02T12:03:00.123456Z','outcome 3, ''quoted''','why_not 3, ''quoted''',3,'host 3, ''quoted''','boot_id 3, ''quoted''','process_start 3, ''quoted''');
CREATE TABLE rollouts (
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	entry INTEGER NOT NULL, 
	mode VARCHAR(16) NOT NULL, 
	version INTEGER, 
	share FLOAT NOT NULL, 
	salt TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	recorded_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (family, config_key, entry)
);
INSERT INTO "rollouts" VALUES('price_predictor','rsi10_vol20_support20',1,'mode 1, ''quoted''',1,1.1,'salt 1, ''quoted''','reason 1, ''quoted''','2026-01-02T12:01:00.123456Z');
INSERT INTO "rollouts" VALUES('price_predictor','rsi10_vol20_support20',2,'mode 2, ''quoted''',NULL,3.33333333333333314829e-01,'salt 2, ''quoted''','reason 2, ''quoted''','2026-01-02T12:02:00.123456Z');
INSERT INTO "rollouts" VALUES('price_predictor','rsi10_vol20_support20',3,'mode 3, ''quoted''',3,3.1,'salt 3, ''quoted''','reason 3, ''quoted''','2026-01-02T12:03:00.123456Z');
CREATE TABLE schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema" VALUES(3);
CREATE TABLE sightings (
	name VARCHAR(64) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	boot_id VARCHAR(64) NOT NULL, 
	token INTEGER NOT NULL, 
	heartbeat_at VARCHAR(32) NOT NULL, 
	tick FLOAT NOT NULL, 
	seen_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (name, host)
);
INSERT INTO "sightings" VALUES('name 1, ''quoted''','host 1, ''quoted''','boot_id 1, ''quoted''',1,'2026-01-02T12:01:00.123456Z',1.1,'2026-01-02T12:01:00.123456Z');
INSERT INTO "sightings" VALUES('name 2, ''quoted''','host 2, ''quoted''','boot_id 2, ''quoted''',2,'2026-01-02T12:02:00.123456Z',3.33333333333333314829e-01,'2026-01-02T12:02:00.123456Z');
INSERT INTO "sightings" VALUES('name 3, ''quoted''','host 3, ''quoted''','boot_id 3, ''quoted''',3,'2026-01-02T12:03:00.123456Z',3.1,'2026-01-02T12:03:00.123456Z');
CREATE TABLE skill_events (
	stream_id VARCHAR(64) NOT NULL, 
	session INTEGER NOT NULL, 
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	z FLOAT NOT NULL, 
	n INTEGER NOT NULL, 
	recorded_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (stream_id, session)
);
INSERT INTO "skill_events" VALUES('stream_id 1, ''quoted''',1,'price_predictor','rsi10_vol20_support20','state 1, ''quoted',1.1,1,'2026-01-02T12:01:00.123456Z');
INSERT INTO "skill_events" VALUES('stream_id 2, ''quoted''',2,'price_predictor','rsi10_vol20_support20','state 2, ''quoted',3.33333333333333314829e-01,2,'2026-01-02T12:02:00.123456Z');
INSERT INTO "skill_events" VALUES('stream_id 3, ''quoted''',3,'price_predictor','rsi10_vol20_support20','state 3, ''quoted',3.1,3,'2026-01-02T12:03:00.123456Z');
CREATE TABLE skill_years (
	stream_id VARCHAR(64) NOT NULL, 
	start_session INTEGER NOT NULL, 
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	n0 INTEGER NOT NULL, 
	k INTEGER NOT NULL, 
	alpha FLOAT NOT NULL, 
	z_star FLOAT NOT NULL, 
	opened_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (stream_id, start_session)
);
INSERT INTO "skill_years" VALUES('stream_id 1, ''quoted''',1,'price_predictor','rsi10_vol20_support20',1,1,1.1,1.1,'2026-01-02T12:01:00.123456Z');
INSERT INTO "skill_years" VALUES('stream_id 2, ''quoted''',2,'price_predictor','rsi10_vol20_support20',2,2,3.33333333333333314829e-01,3.33333333333333314829e-01,'2026-01-02T12:02:00.123456Z');
INSERT INTO "skill_years" VALUES('stream_id 3, ''quoted''',3,'price_predictor','rsi10_vol20_support20',3,3,3.1,3.1,'2026-01-02T12:03:00.123456Z');
CREATE TABLE streams (
	id VARCHAR(64) NOT NULL, 
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	opened_session INTEGER NOT NULL, 
	opened_at VARCHAR(32) NOT NULL, 
	closed_session INTEGER, 
	closed_because TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "streams" VALUES('id 1, ''quoted''','price_predictor','rsi10_vol20_support20','fingerprint 1, ''quoted''',1,'2026-01-02T12:01:00.123456Z',1,'closed_because 1, ''quoted''');
INSERT INTO "streams" VALUES('id 2, ''quoted''','price_predictor','rsi10_vol20_support20','fingerprint 2, ''quoted''',2,'2026-01-02T12:02:00.123456Z',NULL,NULL);
INSERT INTO "streams" VALUES('id 3, ''quoted''','price_predictor','rsi10_vol20_support20','fingerprint 3, ''quoted''',3,'2026-01-02T12:03:00.123456Z',3,'closed_because 3, ''quoted''');
CREATE TABLE trials (
	study VARCHAR(64) NOT NULL, 
	number INTEGER NOT NULL, 
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	recipe VARCHAR(128) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	value FLOAT, 
	sharpe FLOAT, 
	params TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	recorded_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (study, number)
);
INSERT INTO "trials" VALUES('study 1, ''quoted''',1,'price_predictor','rsi10_vol20_support20','recipe 1, ''quoted''','state 1, ''quoted',1.1,1.1,'{"naïve": "it''s \"ok\"; -- $$", "of": "trials", "row": 1}','reason 1, ''quoted''','2026-01-02T12:01:00.123456Z');
INSERT INTO "trials" VALUES('study 2, ''quoted''',2,'price_predictor','rsi10_vol20_support20','recipe 2, ''quoted''','state 2, ''quoted',NULL,NULL,'{"naïve": "it''s \"ok\"; -- $$", "of": "trials", "row": 2}','reason 2, ''quoted''','2026-01-02T12:02:00.123456Z');
INSERT INTO "trials" VALUES('study 3, ''quoted''',3,'price_predictor','rsi10_vol20_support20','recipe 3, ''quoted''','state 3, ''quoted',3.1,3.1,'{"naïve": "it''s \"ok\"; -- $$", "of": "trials", "row": 3}','reason 3, ''quoted''','2026-01-02T12:03:00.123456Z');
CREATE TABLE tunings (
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	entry INTEGER NOT NULL, 
	study VARCHAR(64) NOT NULL, 
	recipe VARCHAR(128) NOT NULL, 
	params TEXT NOT NULL, 
	objective VARCHAR(32) NOT NULL, 
	value FLOAT NOT NULL, 
	trials INTEGER NOT NULL, 
	data_version VARCHAR(128) NOT NULL, 
	tuned_through INTEGER NOT NULL, 
	tuned_at VARCHAR(32) NOT NULL, 
	evidence TEXT NOT NULL, 
	PRIMARY KEY (family, config_key, entry)
);
INSERT INTO "tunings" VALUES('price_predictor','rsi10_vol20_support20',1,'study 1, ''quoted''','recipe 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 1}','objective 1, ''quoted''',1.1,1,'data_version 1, ''quoted''',1,'2026-01-02T12:01:00.123456Z','{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 1}');
INSERT INTO "tunings" VALUES('price_predictor','rsi10_vol20_support20',2,'study 2, ''quoted''','recipe 2, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 2}','objective 2, ''quoted''',3.33333333333333314829e-01,2,'data_version 2, ''quoted''',2,'2026-01-02T12:02:00.123456Z','{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 2}');
INSERT INTO "tunings" VALUES('price_predictor','rsi10_vol20_support20',3,'study 3, ''quoted''','recipe 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 3}','objective 3, ''quoted''',3.1,3,'data_version 3, ''quoted''',3,'2026-01-02T12:03:00.123456Z','{"naïve": "it''s \"ok\"; -- $$", "of": "tunings", "row": 3}');
CREATE TABLE versions (
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	version INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	verdict VARCHAR(16) NOT NULL, 
	recipe VARCHAR(128) NOT NULL, 
	params TEXT NOT NULL, 
	data_version VARCHAR(128) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	trained_at VARCHAR(32) NOT NULL, 
	metrics TEXT NOT NULL, 
	baseline TEXT NOT NULL, 
	scorecard TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	boot_id VARCHAR(64) NOT NULL, 
	process_start VARCHAR(64) NOT NULL, 
	PRIMARY KEY (family, config_key, version)
);
INSERT INTO "versions" VALUES('price_predictor','rsi10_vol20_support20',1,'state 1, ''quoted','verdict 1, ''quot','recipe 1, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 1}','data_version 1, ''quoted''','sha256 1, ''quoted''','path 1, ''quoted''','2026-01-02T12:01:00.123456Z','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 1}','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 1}','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 1}',1,'host 1, ''quoted''','boot_id 1, ''quoted''','process_start 1, ''quoted''');
INSERT INTO "versions" VALUES('price_predictor','rsi10_vol20_support20',2,'state 2, ''quoted','verdict 2, ''quot','recipe 2, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 2}','data_version 2, ''quoted''','sha256 2, ''quoted''','path 2, ''quoted''','2026-01-02T12:02:00.123456Z','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 2}','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 2}','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 2}',2,'host 2, ''quoted''','boot_id 2, ''quoted''','process_start 2, ''quoted''');
INSERT INTO "versions" VALUES('price_predictor','rsi10_vol20_support20',3,'state 3, ''quoted','verdict 3, ''quot','recipe 3, ''quoted''','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 3}','data_version 3, ''quoted''','sha256 3, ''quoted''','path 3, ''quoted''','2026-01-02T12:03:00.123456Z','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 3}','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 3}','{"naïve": "it''s \"ok\"; -- $$", "of": "versions", "row": 3}',3,'host 3, ''quoted''','boot_id 3, ''quoted''','process_start 3, ''quoted''');
CREATE INDEX decisions_by_slot ON decisions (family, config_key, version);
CREATE INDEX trials_by_slot ON trials (family, config_key);
CREATE INDEX outbox_pending ON outbox (topic, sent_at, id);
CREATE INDEX requests_by_trigger ON requests ("trigger", requested_at);
CREATE INDEX requests_by_state ON requests (state, requested_at);
CREATE INDEX events_pending ON events (handled_at, id);
CREATE INDEX alarms_by_key ON alarms ("key", last_at);
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only'); END;
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only'); END;
CREATE TRIGGER champions_no_update BEFORE UPDATE ON champions BEGIN SELECT RAISE(ABORT, 'champions is append-only'); END;
CREATE TRIGGER champions_no_delete BEFORE DELETE ON champions BEGIN SELECT RAISE(ABORT, 'champions is append-only'); END;
CREATE TRIGGER blocks_no_update BEFORE UPDATE ON blocks BEGIN SELECT RAISE(ABORT, 'blocks is append-only'); END;
CREATE TRIGGER blocks_no_delete BEFORE DELETE ON blocks BEGIN SELECT RAISE(ABORT, 'blocks is append-only'); END;
CREATE TRIGGER skill_years_no_update BEFORE UPDATE ON skill_years BEGIN SELECT RAISE(ABORT, 'skill_years is append-only'); END;
CREATE TRIGGER skill_years_no_delete BEFORE DELETE ON skill_years BEGIN SELECT RAISE(ABORT, 'skill_years is append-only'); END;
CREATE TRIGGER skill_events_no_update BEFORE UPDATE ON skill_events BEGIN SELECT RAISE(ABORT, 'skill_events is append-only'); END;
CREATE TRIGGER skill_events_no_delete BEFORE DELETE ON skill_events BEGIN SELECT RAISE(ABORT, 'skill_events is append-only'); END;
CREATE TRIGGER tunings_no_update BEFORE UPDATE ON tunings BEGIN SELECT RAISE(ABORT, 'tunings is append-only'); END;
CREATE TRIGGER tunings_no_delete BEFORE DELETE ON tunings BEGIN SELECT RAISE(ABORT, 'tunings is append-only'); END;
CREATE TRIGGER trials_no_update BEFORE UPDATE ON trials BEGIN SELECT RAISE(ABORT, 'trials is append-only'); END;
CREATE TRIGGER trials_no_delete BEFORE DELETE ON trials BEGIN SELECT RAISE(ABORT, 'trials is append-only'); END;
CREATE TRIGGER rollouts_no_update BEFORE UPDATE ON rollouts BEGIN SELECT RAISE(ABORT, 'rollouts is append-only'); END;
CREATE TRIGGER rollouts_no_delete BEFORE DELETE ON rollouts BEGIN SELECT RAISE(ABORT, 'rollouts is append-only'); END;
COMMIT;
-- scoreboard.db
BEGIN TRANSACTION;
CREATE TABLE schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema" VALUES(3);
CREATE TABLE scoreboards (
	family VARCHAR(64) NOT NULL, 
	config_key VARCHAR(128) NOT NULL, 
	version INTEGER NOT NULL, 
	as_of DATE NOT NULL, 
	ticker VARCHAR(32) NOT NULL, 
	probability FLOAT, 
	class VARCHAR(32), 
	signal VARCHAR(16) NOT NULL, 
	classes TEXT NOT NULL, 
	score FLOAT NOT NULL, 
	low FLOAT, 
	high FLOAT, 
	written_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (family, config_key, version, as_of, ticker)
);
INSERT INTO "scoreboards" VALUES('price_predictor','rsi10_vol20_support20',1,'2026-01-01','ticker 1, ''quoted''',1.1,'class 1, ''quoted''','signal 1, ''quote','{"naïve": "it''s \"ok\"; -- $$", "of": "scoreboards", "row": 1}',1.1,1.1,1.1,'2026-01-02T12:01:00.123456Z');
INSERT INTO "scoreboards" VALUES('price_predictor','rsi10_vol20_support20',2,'2026-01-02','ticker 2, ''quoted''',NULL,NULL,'signal 2, ''quote','{"naïve": "it''s \"ok\"; -- $$", "of": "scoreboards", "row": 2}',3.33333333333333314829e-01,NULL,NULL,'2026-01-02T12:02:00.123456Z');
INSERT INTO "scoreboards" VALUES('price_predictor','rsi10_vol20_support20',3,'2026-01-03','ticker 3, ''quoted''',3.1,'class 3, ''quoted''','signal 3, ''quote','{"naïve": "it''s \"ok\"; -- $$", "of": "scoreboards", "row": 3}',3.1,3.1,3.1,'2026-01-02T12:03:00.123456Z');
CREATE TRIGGER scoreboards_no_update BEFORE UPDATE ON scoreboards BEGIN SELECT RAISE(ABORT, 'scoreboards is append-only'); END;
CREATE TRIGGER scoreboards_no_delete BEFORE DELETE ON scoreboards BEGIN SELECT RAISE(ABORT, 'scoreboards is append-only'); END;
COMMIT;
