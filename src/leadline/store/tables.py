"""The tables, as they are after the newest migration (a test compares the two on both engines).

Every primary key, unique constraint and foreign key is led by `workspace_id`, so that the tables can be
sharded by it. Times are Unix milliseconds. CHECKs repeat what the code believes.
"""

from __future__ import annotations

import sqlalchemy as sa

from leadline.store.columns import blob, flag, identifier, integer, number, text


def _ordered_by(index: sa.Index, _table: sa.Table) -> str:
    """An index by its columns; the workspace leads each, so it tells none apart (and a name has 63 characters)."""
    return "_".join(column.name for column in index.columns if column.name != "workspace_id")


metadata = sa.MetaData(
    naming_convention={
        "ordered_by": _ordered_by,
        "ix": "ix_%(table_name)s_%(ordered_by)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *parts: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, metadata, *parts, sqlite_strict=True)


def _id(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, identifier(), nullable=null)


def _int(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, integer(), nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, text(), nullable=null)


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=name)


def _by_time(table: str, column: str) -> sa.Index:
    """For who asks for a stretch of time, and for nobody else.

    The condition is always true. It keeps SQLite from reading all of a workspace in order of time, where it should
    look up a few rows and sort them.
    """
    condition = sa.text(f"{column} IS NOT NULL")
    return sa.Index(
        f"ix_{table}_{column}", "workspace_id", column, sqlite_where=condition, postgresql_where=condition
    )


def _of_workspace() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.workspace_id"], ondelete="CASCADE")


def _reference(table: str, column: str, *, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id", column], [f"{table}.workspace_id", f"{table}.{column}"], ondelete=ondelete
    )


workspaces = _table(
    "workspaces",
    _id("workspace_id"),
    _id("organization_id"),
    _text("name"),
    _text("region"),
    sa.Column("outcomes_enabled", flag(), nullable=False),
    _text("require_disposition"),
    _int("wrap_up_timeout_seconds", null=True),
    _id("wrap_up_timeout_outcome_id", null=True),
    _int("retention_days"),
    _int("created_at"),
    _int("updated_at"),
    _int("deleted_at", null=True),
    # One more with every change of outcomes and Smart Lists, in the same transaction.
    _int("configuration_revision"),
    sa.PrimaryKeyConstraint("workspace_id"),
    _check("outcomes_enabled", "outcomes_enabled IN (0, 1)"),
    _check("require_disposition", "require_disposition IN ('answered', 'always', 'never')"),
    _check("wrap_up_timeout", "wrap_up_timeout_seconds BETWEEN 5 AND 86400"),
    _check("retention_days", "retention_days BETWEEN 1 AND 3650"),
)

tokens = _table(
    "tokens",
    _id("workspace_id"),
    _id("token_id"),
    _text("token_hash"),
    _text("token_prefix"),
    _text("name", null=True),
    _text("scopes"),
    _int("created_at"),
    _int("expires_at", null=True),
    _int("last_used_at", null=True),
    _int("revoked_at", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "token_id"),
    sa.UniqueConstraint("workspace_id", "token_hash"),
    _of_workspace(),
)

webhook_secrets = _table(
    "webhook_secrets",
    _id("workspace_id"),
    _id("secret_id"),
    _text("secret"),
    _int("created_at"),
    _int("expires_at", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "secret_id"),
    _of_workspace(),
)

idempotency_keys = _table(
    "idempotency_keys",
    _id("workspace_id"),
    _text("idempotency_key"),
    _text("fingerprint"),
    _int("status", null=True),
    sa.Column("body", blob(), nullable=True),
    _text("etag", null=True),
    _int("created_at"),
    # Until when the answer is replayed; from then on the key is free.
    _int("kept_until"),
    sa.PrimaryKeyConstraint("workspace_id", "idempotency_key"),
    _of_workspace(),
    _check("answer_whole", "(status IS NULL) = (body IS NULL)"),
    sa.Index(None, "workspace_id", "kept_until"),
)

smart_lists = _table(
    "smart_lists",
    _id("workspace_id"),
    _id("smart_list_id"),
    _text("smart_list_name"),
    _text("name_key"),
    _int("created_at"),
    _int("updated_at"),
    sa.PrimaryKeyConstraint("workspace_id", "smart_list_id"),
    sa.UniqueConstraint("workspace_id", "name_key"),
    _of_workspace(),
    _check("name", "length(smart_list_name) BETWEEN 1 AND 120"),
    sa.Index(None, "workspace_id", "created_at", "smart_list_id"),
)

endpoints = _table(
    "endpoints",
    _id("workspace_id"),
    _id("endpoint_id"),
    _text("webhook_url"),
    _text("url_hash"),
    _text("state"),
    _text("state_reason", null=True),
    _int("max_concurrency"),
    sa.Column("rate_limit_per_second", number(), nullable=True),
    _int("timeout_seconds", null=True),
    # The breaker: failures in a row, and the earliest moment of the next probe once there are too many.
    _int("failures_in_a_row"),
    _int("probe_at", null=True),
    # Since when there has been nothing but failure; null while the last word was a success.
    _int("failing_since", null=True),
    # The token bucket of the rate limit: what was left, and when.
    sa.Column("bucket_tokens", number(), nullable=True),
    _int("bucket_at", null=True),
    # What succeeds is counted in endpoint_hours alone: a success changes nothing here while all is well.
    _int("last_failure_at", null=True),
    _text("last_failure", null=True),
    _int("created_at"),
    _int("updated_at"),
    sa.PrimaryKeyConstraint("workspace_id", "endpoint_id"),
    sa.UniqueConstraint("workspace_id", "url_hash"),
    _of_workspace(),
    _check("state", "state IN ('active', 'paused', 'disabled')"),
    _check("max_concurrency", "max_concurrency BETWEEN 1 AND 1000"),
    _check("rate_limit", "rate_limit_per_second > 0 AND rate_limit_per_second <= 10000"),
    _check("timeout", "timeout_seconds BETWEEN 1 AND 30"),
    _check("failures", "failures_in_a_row >= 0 AND (failures_in_a_row > 0) = (failing_since IS NOT NULL)"),
    sa.Index(None, "workspace_id", "created_at", "endpoint_id"),
)

outcomes = _table(
    "outcomes",
    _id("workspace_id"),
    _id("outcome_id"),
    _text("outcome_name"),
    _text("outcome_type"),
    _int("display_order"),
    _text("destination_type"),
    # No foreign key: a list deleted by force leaves the outcome pointing at nothing (contract § 6).
    _id("destination_id", null=True),
    sa.Column("remove_all", flag(), nullable=True),
    _text("remove_list_ids", null=True),
    _text("webhook_url", null=True),
    _id("endpoint_id", null=True),
    _int("revision"),
    _int("created_at"),
    _int("updated_at"),
    sa.PrimaryKeyConstraint("workspace_id", "outcome_id"),
    _of_workspace(),
    _reference("endpoints", "endpoint_id", ondelete="NO ACTION"),
    _check("name", "length(outcome_name) BETWEEN 1 AND 120"),
    _check("type", "outcome_type IN ('action', 'disposition')"),
    _check("display_order", "display_order BETWEEN -2147483648 AND 2147483647"),
    _check("webhook", "outcome_type = 'disposition' OR webhook_url IS NOT NULL"),
    _check("endpoint", "(webhook_url IS NULL) = (endpoint_id IS NULL)"),
    _check(
        "one_destination",
        "(destination_type = 'none' AND destination_id IS NULL AND remove_all IS NULL AND remove_list_ids IS NULL)"
        " OR (destination_type = 'smart_list' AND destination_id IS NOT NULL AND remove_all IS NULL"
        " AND remove_list_ids IS NULL)"
        " OR (destination_type = 'remove_from_smart_list' AND destination_id IS NULL"
        " AND (remove_all IS NULL) <> (remove_list_ids IS NULL))",
    ),
    _check("remove_all", "remove_all = 1"),
    sa.Index(None, "workspace_id", "display_order", "created_at", "outcome_id"),
)

contacts = _table(
    "contacts",
    _id("workspace_id"),
    _id("contact_id"),
    _text("phone_number"),
    _text("name", null=True),
    _text("external_id", null=True),
    _text("attributes"),
    _text("search_text"),
    _int("created_at"),
    _int("updated_at"),
    sa.PrimaryKeyConstraint("workspace_id", "contact_id"),
    sa.UniqueConstraint("workspace_id", "phone_number"),
    _of_workspace(),
    _check("phone_number", "phone_number LIKE '+%' AND length(phone_number) BETWEEN 3 AND 16"),
    sa.Index(None, "workspace_id", "created_at", "contact_id"),
)

memberships = _table(
    "memberships",
    _id("workspace_id"),
    _id("smart_list_id"),
    _id("contact_id"),
    _int("since"),
    _text("source"),
    _id("applied_id", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "smart_list_id", "contact_id"),
    _reference("smart_lists", "smart_list_id"),
    _reference("contacts", "contact_id"),
    _check("source", "source IN ('applied', 'request') AND (source = 'applied') = (applied_id IS NOT NULL)"),
    # With all that is asked of a contact's lists: else SQLite reads the covering index of all members instead.
    sa.Index(None, "workspace_id", "contact_id", "since", "smart_list_id"),
    sa.Index(None, "workspace_id", "smart_list_id", "since", "contact_id"),
)

list_moves = _table(
    "list_moves",
    _id("workspace_id"),
    _id("move_id"),
    # Null once the person is erased: that somebody joined or left is counted all the same.
    _id("contact_id", null=True),
    _id("smart_list_id"),
    _text("smart_list_name"),
    _text("direction"),
    _text("source"),
    _id("applied_id", null=True),
    _int("moved_at"),
    sa.PrimaryKeyConstraint("workspace_id", "move_id"),
    _reference("contacts", "contact_id", ondelete="NO ACTION"),
    _check("direction", "direction IN ('joined', 'left')"),
    _check("source", "source IN ('applied', 'request') AND (source = 'applied') = (applied_id IS NOT NULL)"),
    sa.Index(None, "workspace_id", "contact_id", "moved_at", "move_id"),
    _by_time("list_moves", "moved_at"),
)

agents = _table(
    "agents",
    _id("workspace_id"),
    _text("agent_id"),
    _int("created_at"),
    sa.PrimaryKeyConstraint("workspace_id", "agent_id"),
    _of_workspace(),
    _check("agent_id", "length(agent_id) BETWEEN 1 AND 128"),
    sa.Index(None, "workspace_id", "created_at", "agent_id"),
)

calls = _table(
    "calls",
    _id("workspace_id"),
    _id("call_id"),
    _text("state"),
    _text("direction"),
    _text("phone_number", null=True),
    _id("contact_id", null=True),
    _text("agent_id", null=True),
    _text("external_id", null=True),
    _text("line_result", null=True),
    _int("started_at"),
    _int("answered_at", null=True),
    _int("ended_at", null=True),
    # When the server put it into wrap-up, by its own clock: ended_at may be what a phone system says.
    # It stays when the call is closed, and so says which calls owed a disposition, and for how long they waited.
    _int("wrap_up_since", null=True),
    _int("closed_at", null=True),
    _int("created_at"),
    sa.PrimaryKeyConstraint("workspace_id", "call_id"),
    sa.UniqueConstraint("workspace_id", "external_id"),
    _of_workspace(),
    # Erasing a contact clears it on its calls first, so that the rest of the call stays.
    _reference("contacts", "contact_id", ondelete="NO ACTION"),
    _reference("agents", "agent_id", ondelete="NO ACTION"),
    _check("state", "state IN ('ringing', 'live', 'wrap_up', 'closed')"),
    _check("direction", "direction IN ('inbound', 'outbound')"),
    _check(
        "line_result",
        "line_result IN ('completed', 'no_answer', 'busy', 'voicemail', 'failed', 'canceled', 'unknown')",
    ),
    _check("ended", "(state IN ('ringing', 'live')) = (ended_at IS NULL)"),
    _check("line_result_when_ended", "(ended_at IS NULL) = (line_result IS NULL)"),
    _check("live_answered", "state <> 'live' OR answered_at IS NOT NULL"),
    _check("ringing_unanswered", "state <> 'ringing' OR answered_at IS NULL"),
    _check("wrap_up", "state = 'closed' OR (state = 'wrap_up') = (wrap_up_since IS NOT NULL)"),
    _check("wrap_up_times", "closed_at >= wrap_up_since"),
    _check("wrap_up_agent", "state <> 'wrap_up' OR agent_id IS NOT NULL"),
    _check("closed", "(state = 'closed') = (closed_at IS NOT NULL)"),
    _check("times", "ended_at >= started_at AND answered_at >= started_at"),
    sa.Index(None, "workspace_id", "started_at", "call_id"),
    sa.Index(None, "workspace_id", "contact_id", "started_at", "call_id"),
    sa.Index(None, "workspace_id", "agent_id", "started_at", "call_id"),
    sa.Index("ix_calls_open", "workspace_id", "agent_id", sqlite_where=sa.text("state <> 'closed'"),
             postgresql_where=sa.text("state <> 'closed'")),
    _by_time("calls", "closed_at"),
    sa.Index("ix_calls_wrap_up", "workspace_id", "wrap_up_since", sqlite_where=sa.text("state = 'wrap_up'"),
             postgresql_where=sa.text("state = 'wrap_up'")),
)  # fmt: skip

applied_outcomes = _table(
    "applied_outcomes",
    _id("workspace_id"),
    _id("applied_id"),
    _id("call_id"),
    _id("contact_id", null=True),
    # No foreign key: history outlives the outcome, with its name and type as they were.
    _id("outcome_id"),
    _text("outcome_name"),
    _text("outcome_type"),
    _text("agent_id", null=True),
    _text("note", null=True),
    _text("destination"),
    _text("lists_added"),
    _text("lists_removed"),
    _text("error_message"),
    _id("delivery_id", null=True),
    _int("applied_at"),
    sa.PrimaryKeyConstraint("workspace_id", "applied_id"),
    # One outcome applied to one call makes one event, ever (contract § 5).
    sa.UniqueConstraint("workspace_id", "call_id", "outcome_id"),
    _reference("calls", "call_id"),
    _check("type", "outcome_type IN ('action', 'disposition')"),
    sa.Index("uq_applied_outcomes_disposition", "workspace_id", "call_id", unique=True,
             sqlite_where=sa.text("outcome_type = 'disposition'"),
             postgresql_where=sa.text("outcome_type = 'disposition'")),
    sa.Index(None, "workspace_id", "contact_id", "applied_at", "applied_id"),
    _by_time("applied_outcomes", "applied_at"),
)  # fmt: skip

deliveries = _table(
    "deliveries",
    _id("workspace_id"),
    _id("delivery_id"),
    _id("endpoint_id"),
    _id("applied_id", null=True),
    _id("outcome_id", null=True),
    _id("call_id", null=True),
    _id("contact_id", null=True),
    _text("webhook_url"),
    # Null once retention or the erasing of a person has removed it.
    _text("payload", null=True),
    _text("state"),
    _int("due_at", null=True),
    _int("attempt_count"),
    # Attempts since the schedule began: a retry by hand starts it again, attempt_count goes on.
    _int("schedule_step"),
    _id("lease_id", null=True),
    _text("last_error", null=True),
    _int("last_status", null=True),
    _int("created_at"),
    _int("finished_at", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "delivery_id"),
    _of_workspace(),
    _reference("endpoints", "endpoint_id", ondelete="NO ACTION"),
    _check("state", "state IN ('pending', 'succeeded', 'exhausted', 'canceled')"),
    _check("due", "(state = 'pending') = (due_at IS NOT NULL)"),
    _check("finished", "(state = 'pending') = (finished_at IS NULL)"),
    _check("lease", "lease_id IS NULL OR state = 'pending'"),
    _check("counts", "attempt_count >= 0 AND schedule_step >= 0 AND schedule_step <= attempt_count"),
    sa.Index("ix_deliveries_due", "workspace_id", "endpoint_id", "due_at", "delivery_id",
             sqlite_where=sa.text("state = 'pending'"), postgresql_where=sa.text("state = 'pending'")),
    sa.Index("ix_deliveries_leased", "workspace_id", "endpoint_id", "lease_id", "due_at",
             sqlite_where=sa.text("lease_id IS NOT NULL"), postgresql_where=sa.text("lease_id IS NOT NULL")),
    sa.Index("ix_deliveries_kept", "workspace_id", "finished_at",
             sqlite_where=sa.text("payload IS NOT NULL AND finished_at IS NOT NULL"),
             postgresql_where=sa.text("payload IS NOT NULL AND finished_at IS NOT NULL")),
    sa.Index(None, "workspace_id", "created_at", "delivery_id"),
    sa.Index(None, "workspace_id", "call_id"),
    sa.Index(None, "workspace_id", "contact_id", "created_at"),
    sa.Index(None, "workspace_id", "outcome_id", "created_at"),
    sa.Index(None, "workspace_id", "endpoint_id", "created_at"),
    sa.Index(None, "workspace_id", "state", "created_at", "delivery_id"),
)  # fmt: skip

endpoint_hours = _table(
    "endpoint_hours",
    _id("workspace_id"),
    _id("endpoint_id"),
    # Unix time in hours; 0 holds all that is older than what is kept by the hour.
    _int("hour"),
    _int("succeeded_count"),
    _int("failed_count"),
    _int("last_success_at", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "endpoint_id", "hour"),
    _reference("endpoints", "endpoint_id"),
)

replays = _table(
    "replays",
    _id("workspace_id"),
    _id("replay_id"),
    _text("state"),
    _int("since"),
    _int("until"),
    _text("states"),
    _id("outcome_id", null=True),
    _id("endpoint_id", null=True),
    _int("matched"),
    _int("requeued"),
    # Just behind the last delivery that was looked at: where a killed job goes on.
    _int("after_at"),
    _id("after_id"),
    _int("created_at"),
    _int("finished_at", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "replay_id"),
    _of_workspace(),
    _check("state", "state IN ('running', 'done', 'canceled')"),
    _check("finished", "(state = 'running') = (finished_at IS NULL)"),
    _check("counts", "requeued BETWEEN 0 AND matched"),
    sa.Index("ix_replays_running", "workspace_id", "created_at", sqlite_where=sa.text("state = 'running'"),
             postgresql_where=sa.text("state = 'running'")),
)  # fmt: skip

attempts = _table(
    "attempts",
    _id("workspace_id"),
    _id("delivery_id"),
    _int("number"),
    _int("started_at"),
    _int("duration_ms"),
    _text("remote_address", null=True),
    _int("status", null=True),
    _text("response_headers"),
    _text("response_body"),
    _text("error", null=True),
    _text("error_detail", null=True),
    _text("timings"),
    _int("next_attempt_at", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "delivery_id", "number"),
    _reference("deliveries", "delivery_id"),
    _check("number", "number >= 1"),
    _check("duration", "duration_ms >= 0"),
    _check(
        "error",
        "error IN ('dns', 'connect', 'tls', 'timeout', 'blocked', 'http_status', 'protocol')",
    ),
    _by_time("attempts", "started_at"),
)

events = _table(
    "events",
    _id("workspace_id"),
    # Which commit it belongs to: readers go by it, so that a late commit is never skipped.
    _int("commit_order"),
    _id("event_id"),
    _text("type"),
    _text("data"),
    _id("contact_id", null=True),
    _int("at"),
    sa.PrimaryKeyConstraint("workspace_id", "event_id"),
    _of_workspace(),
    sa.Index(None, "workspace_id", "commit_order", "event_id"),
    sa.Index(
        "ix_events_contact_id",
        "workspace_id",
        "contact_id",
        sqlite_where=sa.text("contact_id IS NOT NULL"),
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    ),
)

users = _table(
    "users",
    _id("workspace_id"),
    _id("user_id"),
    _text("email"),
    _text("email_key"),
    _text("name"),
    _text("role"),
    # The phone system's name of the agent that he works as. No foreign key: an agent is known from his first call.
    _text("agent_id", null=True),
    # Null until a one-use link was used to set one.
    _text("password_hash", null=True),
    _text("theme"),
    sa.Column("shortcuts_enabled", flag(), nullable=False),
    _int("disabled_at", null=True),
    _int("signed_in_at", null=True),
    _int("created_at"),
    _int("updated_at"),
    sa.PrimaryKeyConstraint("workspace_id", "user_id"),
    sa.UniqueConstraint("workspace_id", "email_key"),
    sa.UniqueConstraint("workspace_id", "agent_id"),
    _of_workspace(),
    _check("role", "role IN ('agent', 'supervisor', 'administrator')"),
    _check("theme", "theme IN ('system', 'light', 'dark')"),
    _check("shortcuts_enabled", "shortcuts_enabled IN (0, 1)"),
    _check("agent_id", "length(agent_id) BETWEEN 1 AND 128"),
    # Who signs in names no workspace: his accounts are looked up by this one.
    sa.Index("ix_users_email_key", "email_key"),
)

user_sessions = _table(
    "user_sessions",
    _id("workspace_id"),
    _id("session_id"),
    _id("user_id"),
    _text("secret_hash"),
    _text("user_agent"),
    _int("created_at"),
    _int("seen_at"),
    _int("expires_at"),
    sa.PrimaryKeyConstraint("workspace_id", "session_id"),
    sa.UniqueConstraint("workspace_id", "secret_hash"),
    _reference("users", "user_id"),
    sa.Index(None, "workspace_id", "user_id"),
    sa.Index(None, "workspace_id", "seen_at"),
)

user_links = _table(
    "user_links",
    _id("workspace_id"),
    _id("link_id"),
    # Null: the link makes the first administrator.
    _id("user_id", null=True),
    _text("secret_hash"),
    _int("created_at"),
    _int("expires_at"),
    sa.PrimaryKeyConstraint("workspace_id", "link_id"),
    sa.UniqueConstraint("workspace_id", "secret_hash"),
    _of_workspace(),
    _reference("users", "user_id"),
    sa.Index(None, "workspace_id", "user_id"),
)

audit_entries = _table(
    "audit_entries",
    _id("workspace_id"),
    _id("entry_id"),
    _int("at"),
    _text("actor_kind"),
    _text("actor_id", null=True),
    # As it was called then: a user may be renamed later.
    _text("actor_name"),
    _text("request_id", null=True),
    _text("action"),
    _text("thing"),
    _text("thing_id", null=True),
    _text("before", null=True),
    _text("after", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "entry_id"),
    _of_workspace(),
    _check("actor_kind", "actor_kind IN ('user', 'token', 'command_line', 'system')"),
    sa.Index(None, "workspace_id", "at", "entry_id"),
    sa.Index(None, "workspace_id", "actor_id", "at", "entry_id"),
    sa.Index(None, "workspace_id", "action", "at", "entry_id"),
    sa.Index(None, "workspace_id", "thing", "at", "entry_id"),
    sa.Index(None, "workspace_id", "thing_id", "at", "entry_id"),
)

# Facts of closed times, counted: what reports read instead of the facts (docs/internals/reports.md).
report_counts = _table(
    "report_counts",
    _id("workspace_id"),
    _text("measure"),
    _int("width_ms"),
    # Empty for everybody together; else `=` and whom or what it is about, which may be nobody.
    _text("subject"),
    _int("slot"),
    _text("label"),
    _int("counted"),
    _int("total_ms"),
    sa.PrimaryKeyConstraint("workspace_id", "measure", "width_ms", "subject", "slot", "label"),
    _of_workspace(),
    _check("width", "width_ms IN (900000, 3600000, 86400000)"),
    _check("slot", "slot % width_ms = 0"),
    _check("subject", "subject = '' OR subject LIKE '=%' AND width_ms > 900000"),
)

# Until when (exclusive) the facts of a measure are in report_counts. Behind it they are counted as they are.
report_marks = _table(
    "report_marks",
    _id("workspace_id"),
    _text("measure"),
    _int("counted_until"),
    sa.PrimaryKeyConstraint("workspace_id", "measure"),
    _of_workspace(),
)

# What things were called when they were deleted: reports go on naming them.
deleted_names = _table(
    "deleted_names",
    _id("workspace_id"),
    _id("deleted_id"),
    _text("noun"),
    _text("name"),
    _int("deleted_at"),
    sa.PrimaryKeyConstraint("workspace_id", "deleted_id"),
    _of_workspace(),
    _check("noun", "noun IN ('outcome', 'smart_list')"),
)

drafts = _table(
    "drafts",
    _id("workspace_id"),
    _id("call_id"),
    _id("user_id"),
    # No foreign key: one that was chosen and deleted since is simply no longer there to choose.
    _id("outcome_id", null=True),
    _text("note"),
    _int("updated_at"),
    sa.PrimaryKeyConstraint("workspace_id", "call_id", "user_id"),
    _reference("calls", "call_id"),
    _reference("users", "user_id"),
    _check("note", "length(note) <= 4000"),
)

contact_imports = _table(
    "contact_imports",
    _id("workspace_id"),
    _id("import_id"),
    _text("file_name", null=True),
    _text("state"),
    # How often it was started: a dry run is one.
    _int("run"),
    sa.Column("dry_run", flag(), nullable=False),
    _text("options"),
    _int("size_bytes"),
    _int("read_bytes"),
    # Just behind the last row that was read: where a killed job goes on.
    _int("part_number"),
    _int("part_offset"),
    _int("record_number"),
    _int("row_count"),
    _int("created_count"),
    _int("updated_count"),
    _int("unchanged_count"),
    _int("skipped_count"),
    _int("failed_count"),
    _int("repeated_count"),
    _text("failure", null=True),
    _int("created_at"),
    _int("started_at", null=True),
    _int("finished_at", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "import_id"),
    _of_workspace(),
    _check("state", "state IN ('uploading', 'running', 'checked', 'done', 'failed', 'canceled')"),
    _check("finished", "(state IN ('uploading', 'running')) = (finished_at IS NULL)"),
    _check("dry_run", "dry_run IN (0, 1)"),
    _check(
        "counts",
        "row_count = created_count + updated_count + unchanged_count + skipped_count + failed_count"
        " AND repeated_count <= row_count AND read_bytes <= size_bytes",
    ),
    sa.Index("ix_contact_imports_running", "workspace_id", "created_at", sqlite_where=sa.text("state = 'running'"),
             postgresql_where=sa.text("state = 'running'")),
    sa.Index(None, "workspace_id", "created_at", "import_id"),
)  # fmt: skip

contact_import_parts = _table(
    "contact_import_parts",
    _id("workspace_id"),
    _id("import_id"),
    _int("number"),
    sa.Column("content", blob(), nullable=False),
    sa.PrimaryKeyConstraint("workspace_id", "import_id", "number"),
    _reference("contact_imports", "import_id"),
    _check("number", "number >= 1"),
)

# The numbers that a run has met, and in a dry run what each contact would be by now.
contact_import_numbers = _table(
    "contact_import_numbers",
    _id("workspace_id"),
    _id("import_id"),
    _int("run"),
    _text("phone_number"),
    _text("contact", null=True),
    sa.PrimaryKeyConstraint("workspace_id", "import_id", "run", "phone_number"),
    _reference("contact_imports", "import_id"),
)

contact_import_problems = _table(
    "contact_import_problems",
    _id("workspace_id"),
    _id("import_id"),
    _int("row_number"),
    _text("problems"),
    _text("cells"),
    sa.PrimaryKeyConstraint("workspace_id", "import_id", "row_number"),
    _reference("contact_imports", "import_id"),
)
