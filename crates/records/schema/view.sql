-- A view of the journal for questions. Nothing here is the truth: the file can be deleted at any time and is made
-- again from the journal. Times are RFC 3339 in UTC with milliseconds, so that they sort as text; ids are hex as
-- they are printed; words are those of the journal. NULL means: not yet, or not told.

CREATE TABLE point (
    -- The point of the journal that this view has reached: one row.
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    sequence INTEGER NOT NULL,
    hash     TEXT NOT NULL
);
INSERT INTO point VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE plans (
    plan    TEXT PRIMARY KEY,
    product TEXT NOT NULL,
    target  TEXT NOT NULL
);

CREATE TABLE plan_steps (
    plan   TEXT NOT NULL,
    place  INTEGER NOT NULL,
    step   TEXT NOT NULL,
    label  TEXT NOT NULL,
    effect TEXT NOT NULL,
    PRIMARY KEY (plan, step)
);

CREATE TABLE orders (
    -- What each start of the program was ordered to do.
    sequence INTEGER PRIMARY KEY,
    boot     TEXT NOT NULL,
    plan     TEXT NOT NULL,
    bundle   TEXT
);
CREATE INDEX orders_by_boot ON orders (boot);

CREATE TABLE approvals (
    -- As they were given, as JSON.
    id       TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    given    TEXT NOT NULL
);

CREATE TABLE spent (
    -- Which approvals the irreversible steps of a run spent.
    run      TEXT NOT NULL,
    approval TEXT NOT NULL,
    PRIMARY KEY (run, approval)
);

CREATE TABLE devices (
    device       TEXT PRIMARY KEY,
    first_seen   TEXT NOT NULL,
    last_seen    TEXT NOT NULL,
    slot         TEXT,
    state        TEXT,
    security     TEXT,
    serial       TEXT,
    -- The run of this station that finished it, confirmed by the device.
    complete_run TEXT,
    -- The event with which its OS was last to be written anew.
    recovery     INTEGER
);

CREATE TABLE runs (
    run           TEXT PRIMARY KEY,
    sequence      INTEGER NOT NULL,
    -- The start of the program that began it.
    boot          TEXT NOT NULL,
    device        TEXT NOT NULL,
    slot          TEXT,
    serial        TEXT NOT NULL,
    plan          TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    predecessor   TEXT,
    incoming      TEXT NOT NULL,
    started       TEXT NOT NULL,
    ended         TEXT,
    clock         TEXT NOT NULL,
    outcome       TEXT,
    operator      TEXT,
    shift         TEXT,
    work_order    TEXT,
    error_code    TEXT,
    error_message TEXT,
    error_help    TEXT,
    error_blame   TEXT,
    -- The event, and its time, by which the software and settings that passed were lost.
    undone        INTEGER,
    undone_at     TEXT
);
CREATE INDEX runs_by_sequence ON runs (sequence);
CREATE INDEX runs_by_device ON runs (device);
CREATE INDEX runs_by_serial ON runs (serial);

CREATE TABLE steps (
    run           TEXT NOT NULL,
    step          TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    sequence      INTEGER NOT NULL,
    started       TEXT,
    ended         TEXT,
    outcome       TEXT,
    note          TEXT,
    error_code    TEXT,
    error_message TEXT,
    error_help    TEXT,
    error_blame   TEXT,
    PRIMARY KEY (run, step, attempt)
);

CREATE TABLE measurements (
    run     TEXT NOT NULL,
    step    TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    place   INTEGER NOT NULL,
    name    TEXT NOT NULL,
    -- NULL when what came was not a number.
    value   REAL,
    unit    TEXT NOT NULL,
    min     REAL,
    max     REAL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (run, step, attempt, place)
);

CREATE TABLE judgements (
    sequence INTEGER PRIMARY KEY,
    at       TEXT NOT NULL,
    run      TEXT NOT NULL,
    step     TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    -- Digest of what was read of the device.
    facts    TEXT NOT NULL
);
CREATE INDEX judgements_by_run ON judgements (run);

CREATE TABLE checks (
    judgement  INTEGER NOT NULL,
    place      INTEGER NOT NULL,
    name       TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    expected   TEXT NOT NULL,
    found      TEXT NOT NULL,
    covered_by TEXT,
    PRIMARY KEY (judgement, place)
);

CREATE TABLE intents (
    device     TEXT NOT NULL,
    verb       TEXT NOT NULL,
    target     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    at         TEXT NOT NULL,
    run        TEXT NOT NULL,
    slot       TEXT,
    from_state TEXT NOT NULL,
    -- Digest of the facts that proved readiness.
    proof      TEXT NOT NULL,
    -- NULL while nobody knows what became of it.
    verdict    TEXT,
    decided    TEXT,
    PRIMARY KEY (device, verb, target, generation)
);
CREATE INDEX intents_by_run ON intents (run);

-- What went wrong outside the end of a step or run: boards that stay silent, devices that are held, runs that
-- stopped for now, acts whose outcome was not plain at once.
CREATE TABLE incidents (
    sequence      INTEGER PRIMARY KEY,
    at            TEXT NOT NULL,
    kind          TEXT NOT NULL,
    slot          TEXT,
    device        TEXT,
    run           TEXT,
    error_code    TEXT NOT NULL,
    error_message TEXT NOT NULL,
    error_help    TEXT NOT NULL,
    error_blame   TEXT NOT NULL
);
CREATE INDEX incidents_by_run ON incidents (run);

-- What was written to devices by hand, outside of runs.
CREATE TABLE hand_writes (
    sequence      INTEGER PRIMARY KEY,
    at            TEXT NOT NULL,
    operator      TEXT,
    slot          TEXT,
    device        TEXT NOT NULL,
    verb          TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    -- 1 when what the device passed before counts no more.
    is_undoing    INTEGER NOT NULL,
    error_code    TEXT,
    error_message TEXT,
    error_help    TEXT,
    error_blame   TEXT
);
CREATE INDEX hand_writes_by_device ON hand_writes (device);
