-- Slow on purpose: replicas that start together must wait for each other.
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL);
SELECT pg_sleep(0.3);
INSERT INTO notes (note) VALUES ('migrated');
