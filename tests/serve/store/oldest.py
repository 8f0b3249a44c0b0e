"""A store as the first selfj with one wrote it: its tables, two decisions with their hashes, and a verdict."""

TABLES = """
CREATE TABLE decisions (
    position BIGINT NOT NULL, id TEXT NOT NULL, at {double} NOT NULL, request_id TEXT NOT NULL, route TEXT NOT NULL,
    model TEXT NOT NULL, action TEXT NOT NULL, step TEXT NOT NULL, observed BOOLEAN NOT NULL, score {double},
    threshold {double}, label_mass {double}, reason TEXT NOT NULL, judge TEXT NOT NULL, attempts BIGINT NOT NULL,
    total_ms {double} NOT NULL, upstream_ms {double} NOT NULL, judge_ms {double} NOT NULL, language TEXT,
    instruction_digest TEXT NOT NULL, body TEXT, body_digest TEXT, body_salt TEXT, hash TEXT NOT NULL,
    PRIMARY KEY (position), UNIQUE (id)
);
CREATE INDEX ix_decisions_at ON decisions (at);
CREATE INDEX ix_decisions_request_id ON decisions (request_id);
CREATE TABLE feedback (
    id {serial}, decision_id TEXT NOT NULL, good BOOLEAN, quality {double}, who TEXT NOT NULL, at {double} NOT NULL,
    comment TEXT NOT NULL
);
CREATE INDEX ix_feedback_decision_id ON feedback (decision_id);
CREATE TABLE chain (name TEXT NOT NULL, position BIGINT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE meta (key TEXT NOT NULL, value TEXT, PRIMARY KEY (key));
"""
KINDS = {
    "sqlite": {"double": "DOUBLE", "serial": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"},
    "postgresql": {"double": "DOUBLE PRECISION", "serial": "SERIAL NOT NULL PRIMARY KEY"},
}
FIRST = "ea43574d932167358c7a2e660e1a7d707f235a533eb027f120ba3d2a9223efa2"
HEAD = "0c7a05aaaf2b439bd4d92e36b5ddc3cb42e068d8569346466d6bee500c93f18d"
DIGEST = "128a0d2cc85dadc2af01e629b18c5eb36d5ed89ba19ce478db696be247d969bb"
ROWS = f"""
INSERT INTO decisions VALUES (1, 'd1', 1700000000.25, 'r1', '/v1/chat/completions', 'small', 'answer', 'answer', FALSE,
    7.25, 5.0, 0.97, 'the expected quality is 7.25', 'j1', 1, 12.5, 10.0, 2.5, 'de', 'i1',
    'Wie viel ist 2 + 2? Größe 4', '{DIGEST}', '000102030405060708090a0b0c0d0e0f', '{FIRST}');
INSERT INTO decisions VALUES (2, 'd2', 1700000001.0, 'r2', '/v1/chat/completions', 'small', 'error', 'failure', TRUE,
    NULL, NULL, NULL, 'the expected quality is 7.25', 'j1', 3, 12.5, 10.0, 2.5, NULL, 'i1', NULL, NULL, NULL, '{HEAD}');
INSERT INTO feedback (decision_id, good, quality, who, at, comment) VALUES ('d1', TRUE, NULL, 'Ann', 1700000009.0, '');
INSERT INTO chain VALUES ('head', 2, '{HEAD}');
INSERT INTO chain VALUES ('anchor', 0, '{"0" * 64}');
INSERT INTO meta VALUES ('version', '1');
"""


def statements(dialect):
    """The statements that make it, for `sqlite` or `postgresql`."""
    text = TABLES.format(**KINDS[dialect]) + ROWS
    return [part.strip() for part in text.split(";\n") if part.strip()]
