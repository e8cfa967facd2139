-- Events that are to be published. A row is written in the transaction of the change that it tells of, and deleted when
-- producer-service says that the broker has it.
--
-- Every row is short-lived, and a deleted one can't be removed for as long as anybody holds an old snapshot. So rows go
-- by time into one of three partitions, and the one that has been left for longest is truncated when it is empty
-- (rotation.rs): however long a snapshot is held, the table holds the dead rows of a few minutes and no more.
CREATE SEQUENCE outbox_events_seq AS bigint;

CREATE TABLE outbox_events (
    seq             bigint NOT NULL DEFAULT nextval('outbox_events_seq'), -- within one subject, the order of its changes
    slot            smallint NOT NULL DEFAULT ((extract(epoch FROM now())::bigint / 120) % 3)::smallint,
    event_id        uuid NOT NULL,                                        -- the same at every attempt
    subject         uuid NOT NULL,                                        -- what changed: events of one subject keep their order
    type            text NOT NULL,
    data            text NOT NULL,                                        -- JSON, as the event's type has it
    traceparent     text NOT NULL,                                        -- W3C trace context of the change; '' for none
    tracestate      text NOT NULL,
    occurred_at     timestamptz NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    -- Until then whoever wrote the row publishes it from memory; later it is anybody's.
    next_attempt_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (seq, slot)
) PARTITION BY LIST (slot);

CREATE TABLE outbox_events_0 PARTITION OF outbox_events FOR VALUES IN (0)
    WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = -1,
          autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0);
CREATE TABLE outbox_events_1 PARTITION OF outbox_events FOR VALUES IN (1)
    WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = -1,
          autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0);
CREATE TABLE outbox_events_2 PARTITION OF outbox_events FOR VALUES IN (2)
    WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = -1,
          autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0);

-- Whether a subject has an earlier event that is not published yet.
CREATE INDEX outbox_events_subject_idx ON outbox_events (subject, seq);

-- Events that can't be published, set aside with the reason so that they hold up nothing else. A person looks at them.
CREATE TABLE outbox_poison (
    event_id     uuid PRIMARY KEY,
    subject      uuid NOT NULL,
    type         text NOT NULL,
    data         text NOT NULL,
    traceparent  text NOT NULL,
    tracestate   text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    reason       text NOT NULL,
    set_aside_at timestamptz NOT NULL DEFAULT now()
);
