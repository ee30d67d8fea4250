//! The schema, as numbered steps that only go forward.

/// A step's statements, in the subset of SQL that both engines share: BIGINT and TEXT, JSON as text,
/// times in microseconds since 1970; NUMBERED is a key that the database counts. A step that was released
/// is never edited.
type Statements = &'static [&'static str];

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchemaStep {
    /// What it makes.
    pub(crate) statements: Statements,
    /// The oldest version of the schema whose hosts can still work beside this one. A step that only adds
    /// what older hosts do not look at leaves it where it was.
    pub(crate) works_with: i64,
}

/// Every step; its number is its place, from 1.
pub(crate) const STEPS: &[SchemaStep] = &[
    SchemaStep { statements: RUNS, works_with: 1 },
    SchemaStep { statements: PLANS, works_with: 1 },
    SchemaStep { statements: AUTHORITY, works_with: 1 },
    SchemaStep { statements: AUDIT, works_with: 1 },
    SchemaStep { statements: ROLLOUTS, works_with: 1 },
    SchemaStep { statements: SCHEDULES, works_with: 1 },
    SchemaStep { statements: PROPOSALS, works_with: 1 },
    SchemaStep { statements: GLASS, works_with: 1 },
    SchemaStep { statements: TRUST, works_with: 1 },
    SchemaStep { statements: WITNESSES, works_with: 1 },
];

const RUNS: Statements = &[
    "CREATE TABLE counters (
        name TEXT PRIMARY KEY NOT NULL,
        value BIGINT NOT NULL
    )",
    // `claim`: whoever claims holds it, so that limits hold across hosts. `switch_epoch`: counts up with
    // each switch that is thrown.
    "INSERT INTO counters (name, value) VALUES ('run', 0), ('claim', 0), ('switch_epoch', 0)",
    // `parent` and `plan_digest` are what a person sees; the plan itself stands in `plans`.
    "CREATE TABLE runs (
        number BIGINT PRIMARY KEY NOT NULL CHECK (number > 0),
        id TEXT NOT NULL UNIQUE,
        nonce TEXT NOT NULL,
        tenant TEXT NOT NULL,
        job_name TEXT NOT NULL,
        job_version TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('planning', 'planned', 'awaiting_approval', 'approved', 'nothing_to_do',
            'denied', 'refused', 'failed', 'applying', 'verifying', 'succeeded', 'drifted', 'violated', 'expired',
            'rejected', 'cancelled', 'rolling_back', 'rolled_back', 'stuck', 'diverged')),
        created_at_us BIGINT NOT NULL,
        updated_at_us BIGINT NOT NULL,
        requested_by TEXT NOT NULL,
        environment TEXT NOT NULL,
        params TEXT NOT NULL,
        only_rows TEXT NOT NULL,
        frozen_now_us BIGINT NOT NULL,
        frozen_seed TEXT NOT NULL,
        parent BIGINT REFERENCES runs (number),
        compensates BIGINT REFERENCES runs (number) CHECK (compensates < number),
        plan_digest TEXT,
        target TEXT,
        attempt BIGINT NOT NULL CHECK (attempt >= 0),
        undo_generation BIGINT NOT NULL CHECK (undo_generation >= 0),
        outcome_code TEXT,
        outcome_message TEXT,
        expires_at_us BIGINT,
        applied_at_us BIGINT,
        undo_until_us BIGINT,
        task TEXT CHECK (task IN ('plan', 'apply', 'undo')),
        task_by TEXT,
        task_confirm TEXT,
        due_at_us BIGINT,
        tries BIGINT NOT NULL CHECK (tries >= 0),
        lease_owner TEXT,
        lease_until_us BIGINT,
        CHECK ((outcome_code IS NULL) = (outcome_message IS NULL)),
        CHECK ((task IS NULL) = (task_by IS NULL) AND (task IS NULL) = (due_at_us IS NULL)),
        CHECK (task IS NOT NULL OR state NOT IN ('planning', 'applying', 'verifying', 'rolling_back')),
        CHECK ((lease_owner IS NULL) = (lease_until_us IS NULL)),
        CHECK (plan_digest IS NOT NULL OR state NOT IN ('planned', 'awaiting_approval', 'approved', 'applying',
            'verifying', 'succeeded', 'drifted', 'violated', 'expired', 'rejected', 'rolling_back', 'rolled_back',
            'stuck', 'diverged'))
    )",
    "CREATE INDEX runs_by_state ON runs (state)",
    "CREATE INDEX runs_by_compensates ON runs (compensates) WHERE compensates IS NOT NULL",
    "CREATE INDEX runs_by_due ON runs (due_at_us, number) WHERE task IS NOT NULL",
    "CREATE INDEX runs_by_lease ON runs (lease_owner) WHERE lease_owner IS NOT NULL",
    "CREATE INDEX runs_by_applied ON runs (tenant, applied_at_us, target) WHERE applied_at_us IS NOT NULL",
    "CREATE TABLE run_events (
        run BIGINT NOT NULL REFERENCES runs (number),
        seq BIGINT NOT NULL CHECK (seq > 0),
        at_us BIGINT NOT NULL,
        from_state TEXT NOT NULL,
        event TEXT NOT NULL,
        to_state TEXT NOT NULL,
        attempt BIGINT NOT NULL,
        code TEXT,
        note TEXT NOT NULL,
        PRIMARY KEY (run, seq)
    )",
    "CREATE TABLE run_log (
        run BIGINT NOT NULL REFERENCES runs (number),
        seq BIGINT NOT NULL CHECK (seq > 0),
        level TEXT NOT NULL,
        line TEXT NOT NULL,
        PRIMARY KEY (run, seq)
    )",
    // A request that is sent again is the same request: kept as long as its run.
    "CREATE TABLE idempotency_keys (
        idempotency_key TEXT PRIMARY KEY NOT NULL,
        request TEXT NOT NULL,
        run BIGINT NOT NULL REFERENCES runs (number)
    )",
];

const PLANS: Statements = &[
    "CREATE TABLE plans (
        run BIGINT PRIMARY KEY NOT NULL REFERENCES runs (number),
        digest TEXT NOT NULL,
        header TEXT NOT NULL,
        document TEXT NOT NULL
    )",
    "CREATE TABLE plan_changes (
        run BIGINT NOT NULL REFERENCES plans (run),
        seq BIGINT NOT NULL CHECK (seq > 0),
        resource TEXT NOT NULL,
        key_text TEXT NOT NULL,
        leaf TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (run, seq)
    )",
    "CREATE TABLE plan_salts (
        run BIGINT PRIMARY KEY NOT NULL REFERENCES plans (run),
        salt TEXT NOT NULL
    )",
];

const AUTHORITY: Statements = &[
    "CREATE TABLE switches (
        kind TEXT NOT NULL,
        scope TEXT NOT NULL,
        is_on BIGINT NOT NULL CHECK (is_on IN (0, 1)),
        reason TEXT NOT NULL CHECK (reason <> ''),
        thrown_by TEXT NOT NULL,
        at_us BIGINT NOT NULL,
        expires_at_us BIGINT,
        running TEXT NOT NULL CHECK (running IN ('wait', 'roll_back')),
        PRIMARY KEY (kind, scope)
    )",
    // Each version is signed by people of the one before.
    "CREATE TABLE people (
        version BIGINT PRIMARY KEY NOT NULL CHECK (version > 0),
        envelope TEXT NOT NULL,
        at_us BIGINT NOT NULL
    )",
    // What people signed about a plan, in the order in which it came; never edited, never deleted.
    "CREATE TABLE votes (
        run BIGINT NOT NULL REFERENCES runs (number),
        seq BIGINT NOT NULL CHECK (seq > 0),
        envelope TEXT NOT NULL,
        at_us BIGINT NOT NULL,
        PRIMARY KEY (run, seq)
    )",
    // Every answer of policy, with what it knew and which policies made it.
    "CREATE TABLE decisions (
        run BIGINT NOT NULL REFERENCES runs (number),
        seq BIGINT NOT NULL CHECK (seq > 0),
        at_us BIGINT NOT NULL,
        stage TEXT NOT NULL,
        effect TEXT NOT NULL,
        decision TEXT NOT NULL,
        facts TEXT NOT NULL,
        PRIMARY KEY (run, seq)
    )",
    "CREATE TABLE trust (
        job_name TEXT NOT NULL,
        tenant TEXT NOT NULL,
        trust TEXT NOT NULL,
        granted_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        at_us BIGINT NOT NULL,
        PRIMARY KEY (job_name, tenant)
    )",
];

const AUDIT: Statements = &[
    // `audit_leaf`: how many entries have their places; whoever gives them holds it. `audit_checkpoint`: how
    // many were signed.
    "INSERT INTO counters (name, value) VALUES ('audit_leaf', 0), ('audit_checkpoint', 0)",
    // Written in the transaction of the fact that it tells of; `leaf` comes later, from one sequencer. What is
    // told again under `once` counts up until then; under `delivery` it is told once for ever.
    "CREATE TABLE audit_entries (
        id NUMBERED,
        at_us BIGINT NOT NULL,
        kind TEXT NOT NULL,
        run BIGINT,
        tenant TEXT,
        actor TEXT NOT NULL,
        body TEXT NOT NULL,
        times BIGINT NOT NULL CHECK (times > 0),
        once TEXT UNIQUE,
        delivery TEXT UNIQUE,
        leaf BIGINT UNIQUE,
        CHECK (once IS NULL OR leaf IS NULL)
    )",
    "CREATE INDEX audit_entries_unsequenced ON audit_entries (id) WHERE leaf IS NULL",
    "CREATE INDEX audit_entries_by_run ON audit_entries (run, leaf) WHERE run IS NOT NULL",
    // The entry's bytes as they are hashed. Never edited, never deleted.
    "CREATE TABLE audit_leaves (
        leaf BIGINT PRIMARY KEY NOT NULL CHECK (leaf >= 0),
        entry TEXT NOT NULL,
        hash TEXT NOT NULL
    )",
    // Hashes over full tiles: `node` of level n is over 256 of level n - 1, of level 1 over 256 leaves.
    "CREATE TABLE audit_nodes (
        level BIGINT NOT NULL CHECK (level > 0),
        node BIGINT NOT NULL CHECK (node >= 0),
        hash TEXT NOT NULL,
        PRIMARY KEY (level, node)
    )",
    "CREATE TABLE audit_checkpoints (
        seq BIGINT PRIMARY KEY NOT NULL CHECK (seq > 0),
        size BIGINT NOT NULL UNIQUE CHECK (size > 0),
        note TEXT NOT NULL
    )",
    // How far places elsewhere have the log, as this host believes: what is true stands there.
    "CREATE TABLE audit_anchors (
        place TEXT PRIMARY KEY NOT NULL,
        size BIGINT NOT NULL REFERENCES audit_checkpoints (size),
        at_us BIGINT NOT NULL
    )",
];

const ROLLOUTS: Statements = &[
    "INSERT INTO counters (name, value) VALUES ('rollout', 0)",
    // `seen_…`: how runs had ended when a person last let it go on.
    "CREATE TABLE rollouts (
        number BIGINT PRIMARY KEY NOT NULL CHECK (number > 0),
        job_name TEXT NOT NULL,
        params TEXT NOT NULL,
        waves TEXT NOT NULL,
        stop_if TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'done', 'cancelled', 'undone')),
        wave BIGINT NOT NULL CHECK (wave >= 0),
        seen_ended BIGINT NOT NULL CHECK (seen_ended >= 0),
        seen_rollbacks BIGINT NOT NULL CHECK (seen_rollbacks >= 0),
        seen_failures BIGINT NOT NULL CHECK (seen_failures >= 0),
        seen_refusals BIGINT NOT NULL CHECK (seen_refusals >= 0),
        started_by TEXT NOT NULL,
        because TEXT NOT NULL,
        created_at_us BIGINT NOT NULL,
        updated_at_us BIGINT NOT NULL,
        attempt BIGINT NOT NULL CHECK (attempt >= 0),
        lease_owner TEXT,
        lease_until_us BIGINT,
        CHECK ((lease_owner IS NULL) = (lease_until_us IS NULL))
    )",
    "CREATE INDEX rollouts_running ON rollouts (updated_at_us, number) WHERE state = 'running'",
    "CREATE TABLE rollout_tenants (
        rollout BIGINT NOT NULL REFERENCES rollouts (number),
        seat BIGINT NOT NULL CHECK (seat >= 0),
        wave BIGINT NOT NULL CHECK (wave >= 0),
        tenant TEXT NOT NULL,
        run BIGINT REFERENCES runs (number),
        asked_at_us BIGINT,
        PRIMARY KEY (rollout, seat),
        UNIQUE (rollout, tenant)
    )",
    "CREATE TABLE rollout_events (
        rollout BIGINT NOT NULL REFERENCES rollouts (number),
        seq BIGINT NOT NULL CHECK (seq > 0),
        at_us BIGINT NOT NULL,
        event TEXT NOT NULL,
        to_state TEXT NOT NULL,
        happened_by TEXT NOT NULL,
        because TEXT NOT NULL,
        PRIMARY KEY (rollout, seq)
    )",
];

const SCHEDULES: Statements = &[
    // `since_us`: what an entry would have been for before that is nobody's.
    "CREATE TABLE schedules (
        entry TEXT PRIMARY KEY NOT NULL,
        since_us BIGINT NOT NULL
    )",
    // The key is what makes each firing happen once across hosts.
    "CREATE TABLE schedule_firings (
        entry TEXT NOT NULL,
        fire_at_us BIGINT NOT NULL,
        begun_at_us BIGINT NOT NULL,
        done_at_us BIGINT,
        note TEXT NOT NULL,
        PRIMARY KEY (entry, fire_at_us)
    )",
    "CREATE INDEX schedule_firings_open ON schedule_firings (fire_at_us, entry) WHERE done_at_us IS NULL",
    "CREATE TABLE schedule_runs (
        entry TEXT NOT NULL,
        fire_at_us BIGINT NOT NULL,
        tenant TEXT NOT NULL,
        run BIGINT NOT NULL UNIQUE REFERENCES runs (number),
        asked_at_us BIGINT,
        PRIMARY KEY (entry, fire_at_us, tenant),
        FOREIGN KEY (entry, fire_at_us) REFERENCES schedule_firings (entry, fire_at_us)
    )",
];

const PROPOSALS: Statements = &[
    // What is to be the registry's next version, with the signatures so far.
    "CREATE TABLE people_proposals (
        number BIGINT PRIMARY KEY NOT NULL CHECK (number > 0),
        version BIGINT NOT NULL CHECK (version > 0),
        envelope TEXT NOT NULL,
        reason TEXT NOT NULL CHECK (reason <> ''),
        proposed_by TEXT NOT NULL,
        at_us BIGINT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'adopted', 'discarded', 'overtaken')),
        ended_at_us BIGINT,
        CHECK ((state = 'pending') = (ended_at_us IS NULL))
    )",
];

// Why whoever asked for the task breaks the glass for it.
const GLASS: Statements = &["ALTER TABLE runs ADD COLUMN task_glass TEXT"];

const TRUST: Statements = &[
    // How often it was said: what people sign to trust a job further fits one occasion.
    "ALTER TABLE trust ADD COLUMN changes BIGINT NOT NULL DEFAULT 1",
    // The latest run that was undone or could not be verified, since it was last said.
    "CREATE TABLE trust_setbacks (
        job_name TEXT NOT NULL,
        tenant TEXT NOT NULL,
        run BIGINT NOT NULL REFERENCES runs (number),
        event TEXT NOT NULL,
        at_us BIGINT NOT NULL,
        PRIMARY KEY (job_name, tenant)
    )",
    // What waits for a second person's signature.
    "CREATE TABLE trust_promotions (
        job_name TEXT NOT NULL,
        tenant TEXT NOT NULL,
        envelope TEXT NOT NULL,
        asked_by TEXT NOT NULL,
        at_us BIGINT NOT NULL,
        PRIMARY KEY (job_name, tenant)
    )",
];

// What a witness said about the last checkpoint that it was sent: its line under the note.
const WITNESSES: Statements = &["ALTER TABLE audit_anchors ADD COLUMN cosignature TEXT"];
