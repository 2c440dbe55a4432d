"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from leadline.store.columns import blob, flag, identifier, integer, number, text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915 - one table after the other
    _workspaces()
    _agents()
    _audit_entries()
    _contact_imports()
    _contacts()
    _deleted_names()
    _endpoints()
    _events()
    _idempotency_keys()
    _replays()
    _report_counts()
    _report_marks()
    _smart_lists()
    _tokens()
    _users()
    _webhook_secrets()
    _calls()
    _contact_import_numbers()
    _contact_import_parts()
    _contact_import_problems()
    _deliveries()
    _endpoint_hours()
    _list_moves()
    _memberships()
    _outcomes()
    _user_links()
    _user_sessions()
    _applied_outcomes()
    _attempts()
    _drafts()
    if op.get_bind().dialect.name == "postgresql":
        _fix_statistics_of_workspaces()


def _fix_statistics_of_workspaces() -> None:
    """Have PostgreSQL believe that a workspace may have all there is in a table, and nothing else of it, ever.

    By statistics of its own a workspace that is new since they were made has next to nothing: so it read all that the
    workspace had meanwhile, instead of going to the rows that were asked for.
    """
    version = op.get_bind().dialect.server_version_info or ()
    for table in _OF_WORKSPACES:
        if version >= (18,):
            op.execute(
                "SELECT pg_restore_attribute_stats('schemaname', current_schema()::text, 'relname', "
                f"'{table}', 'attname', 'workspace_id', 'inherited', false,"
                " 'null_frac', 0::real, 'avg_width', 16, 'n_distinct', 1::real)"
            )
        # What is stored stays. Where it could not be, this takes a workspace for a 200th of the table.
        op.execute(f"ALTER TABLE {table} ALTER COLUMN workspace_id SET STATISTICS 0")


_OF_WORKSPACES = (
    "agents",
    "audit_entries",
    "contact_imports",
    "contacts",
    "deleted_names",
    "endpoints",
    "events",
    "idempotency_keys",
    "replays",
    "report_counts",
    "report_marks",
    "smart_lists",
    "tokens",
    "users",
    "webhook_secrets",
    "calls",
    "contact_import_numbers",
    "contact_import_parts",
    "contact_import_problems",
    "deliveries",
    "endpoint_hours",
    "list_moves",
    "memberships",
    "outcomes",
    "user_links",
    "user_sessions",
    "applied_outcomes",
    "attempts",
    "drafts",
)


def _workspaces() -> None:
    op.create_table(
        "workspaces",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("organization_id", identifier(), nullable=False),
        sa.Column("name", text(), nullable=False),
        sa.Column("region", text(), nullable=False),
        sa.Column("outcomes_enabled", flag(), nullable=False),
        sa.Column("require_disposition", text(), nullable=False),
        sa.Column("wrap_up_timeout_seconds", integer(), nullable=True),
        sa.Column("wrap_up_timeout_outcome_id", identifier(), nullable=True),
        sa.Column("retention_days", integer(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("updated_at", integer(), nullable=False),
        sa.Column("deleted_at", integer(), nullable=True),
        sa.Column("configuration_revision", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name="pk_workspaces"),
        sa.CheckConstraint("outcomes_enabled IN (0, 1)", name=op.f("ck_workspaces_outcomes_enabled")),
        sa.CheckConstraint(
            "require_disposition IN ('answered', 'always', 'never')",
            name=op.f("ck_workspaces_require_disposition"),
        ),
        sa.CheckConstraint("retention_days BETWEEN 1 AND 3650", name=op.f("ck_workspaces_retention_days")),
        sa.CheckConstraint(
            "wrap_up_timeout_seconds BETWEEN 5 AND 86400", name=op.f("ck_workspaces_wrap_up_timeout")
        ),
        sqlite_strict=True,
    )


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("agent_id", text(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "agent_id", name="pk_agents"),
        sa.CheckConstraint("length(agent_id) BETWEEN 1 AND 128", name=op.f("ck_agents_agent_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], ondelete="CASCADE", name="fk_agents_workspace_id"
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_agents_created_at_agent_id", "agents", ["workspace_id", "created_at", "agent_id"], unique=False
    )


def _audit_entries() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("entry_id", identifier(), nullable=False),
        sa.Column("at", integer(), nullable=False),
        sa.Column("actor_kind", text(), nullable=False),
        sa.Column("actor_id", text(), nullable=True),
        sa.Column("actor_name", text(), nullable=False),
        sa.Column("request_id", text(), nullable=True),
        sa.Column("action", text(), nullable=False),
        sa.Column("thing", text(), nullable=False),
        sa.Column("thing_id", text(), nullable=True),
        sa.Column("before", text(), nullable=True),
        sa.Column("after", text(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "entry_id", name="pk_audit_entries"),
        sa.CheckConstraint(
            "actor_kind IN ('user', 'token', 'command_line', 'system')",
            name=op.f("ck_audit_entries_actor_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_audit_entries_workspace_id",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_audit_entries_action_at_entry_id",
        "audit_entries",
        ["workspace_id", "action", "at", "entry_id"],
        unique=False,
    )
    op.create_index(
        "ix_audit_entries_actor_id_at_entry_id",
        "audit_entries",
        ["workspace_id", "actor_id", "at", "entry_id"],
        unique=False,
    )
    op.create_index(
        "ix_audit_entries_at_entry_id", "audit_entries", ["workspace_id", "at", "entry_id"], unique=False
    )
    op.create_index(
        "ix_audit_entries_thing_at_entry_id",
        "audit_entries",
        ["workspace_id", "thing", "at", "entry_id"],
        unique=False,
    )
    op.create_index(
        "ix_audit_entries_thing_id_at_entry_id",
        "audit_entries",
        ["workspace_id", "thing_id", "at", "entry_id"],
        unique=False,
    )


def _contact_imports() -> None:
    op.create_table(
        "contact_imports",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("import_id", identifier(), nullable=False),
        sa.Column("file_name", text(), nullable=True),
        sa.Column("state", text(), nullable=False),
        sa.Column("run", integer(), nullable=False),
        sa.Column("dry_run", flag(), nullable=False),
        sa.Column("options", text(), nullable=False),
        sa.Column("size_bytes", integer(), nullable=False),
        sa.Column("read_bytes", integer(), nullable=False),
        sa.Column("part_number", integer(), nullable=False),
        sa.Column("part_offset", integer(), nullable=False),
        sa.Column("record_number", integer(), nullable=False),
        sa.Column("row_count", integer(), nullable=False),
        sa.Column("created_count", integer(), nullable=False),
        sa.Column("updated_count", integer(), nullable=False),
        sa.Column("unchanged_count", integer(), nullable=False),
        sa.Column("skipped_count", integer(), nullable=False),
        sa.Column("failed_count", integer(), nullable=False),
        sa.Column("repeated_count", integer(), nullable=False),
        sa.Column("failure", text(), nullable=True),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("started_at", integer(), nullable=True),
        sa.Column("finished_at", integer(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "import_id", name="pk_contact_imports"),
        sa.CheckConstraint(
            "row_count = created_count + updated_count + unchanged_count + skipped_count + failed_count AND repeated_count <= row_count AND read_bytes <= size_bytes",
            name=op.f("ck_contact_imports_counts"),
        ),
        sa.CheckConstraint("dry_run IN (0, 1)", name=op.f("ck_contact_imports_dry_run")),
        sa.CheckConstraint(
            "(state IN ('uploading', 'running')) = (finished_at IS NULL)",
            name=op.f("ck_contact_imports_finished"),
        ),
        sa.CheckConstraint(
            "state IN ('uploading', 'running', 'checked', 'done', 'failed', 'canceled')",
            name=op.f("ck_contact_imports_state"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_contact_imports_workspace_id",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_contact_imports_created_at_import_id",
        "contact_imports",
        ["workspace_id", "created_at", "import_id"],
        unique=False,
    )
    op.create_index(
        "ix_contact_imports_running",
        "contact_imports",
        ["workspace_id", "created_at"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("contact_id", identifier(), nullable=False),
        sa.Column("phone_number", text(), nullable=False),
        sa.Column("name", text(), nullable=True),
        sa.Column("external_id", text(), nullable=True),
        sa.Column("attributes", text(), nullable=False),
        sa.Column("search_text", text(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("updated_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "contact_id", name="pk_contacts"),
        sa.CheckConstraint(
            "phone_number LIKE '+%' AND length(phone_number) BETWEEN 3 AND 16",
            name=op.f("ck_contacts_phone_number"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], ondelete="CASCADE", name="fk_contacts_workspace_id"
        ),
        sa.UniqueConstraint("workspace_id", "phone_number", name="uq_contacts_workspace_id_phone_number"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_contacts_created_at_contact_id",
        "contacts",
        ["workspace_id", "created_at", "contact_id"],
        unique=False,
    )


def _deleted_names() -> None:
    op.create_table(
        "deleted_names",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("deleted_id", identifier(), nullable=False),
        sa.Column("noun", text(), nullable=False),
        sa.Column("name", text(), nullable=False),
        sa.Column("deleted_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "deleted_id", name="pk_deleted_names"),
        sa.CheckConstraint("noun IN ('outcome', 'smart_list')", name=op.f("ck_deleted_names_noun")),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_deleted_names_workspace_id",
        ),
        sqlite_strict=True,
    )


def _endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("endpoint_id", identifier(), nullable=False),
        sa.Column("webhook_url", text(), nullable=False),
        sa.Column("url_hash", text(), nullable=False),
        sa.Column("state", text(), nullable=False),
        sa.Column("state_reason", text(), nullable=True),
        sa.Column("max_concurrency", integer(), nullable=False),
        sa.Column("rate_limit_per_second", number(), nullable=True),
        sa.Column("timeout_seconds", integer(), nullable=True),
        sa.Column("failures_in_a_row", integer(), nullable=False),
        sa.Column("probe_at", integer(), nullable=True),
        sa.Column("failing_since", integer(), nullable=True),
        sa.Column("bucket_tokens", number(), nullable=True),
        sa.Column("bucket_at", integer(), nullable=True),
        sa.Column("last_failure_at", integer(), nullable=True),
        sa.Column("last_failure", text(), nullable=True),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("updated_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "endpoint_id", name="pk_endpoints"),
        sa.CheckConstraint(
            "failures_in_a_row >= 0 AND (failures_in_a_row > 0) = (failing_since IS NOT NULL)",
            name=op.f("ck_endpoints_failures"),
        ),
        sa.CheckConstraint("max_concurrency BETWEEN 1 AND 1000", name=op.f("ck_endpoints_max_concurrency")),
        sa.CheckConstraint(
            "rate_limit_per_second > 0 AND rate_limit_per_second <= 10000",
            name=op.f("ck_endpoints_rate_limit"),
        ),
        sa.CheckConstraint("state IN ('active', 'paused', 'disabled')", name=op.f("ck_endpoints_state")),
        sa.CheckConstraint("timeout_seconds BETWEEN 1 AND 30", name=op.f("ck_endpoints_timeout")),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_endpoints_workspace_id",
        ),
        sa.UniqueConstraint("workspace_id", "url_hash", name="uq_endpoints_workspace_id_url_hash"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_endpoints_created_at_endpoint_id",
        "endpoints",
        ["workspace_id", "created_at", "endpoint_id"],
        unique=False,
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("commit_order", integer(), nullable=False),
        sa.Column("event_id", identifier(), nullable=False),
        sa.Column("type", text(), nullable=False),
        sa.Column("data", text(), nullable=False),
        sa.Column("contact_id", identifier(), nullable=True),
        sa.Column("at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "event_id", name="pk_events"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], ondelete="CASCADE", name="fk_events_workspace_id"
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_events_commit_order_event_id",
        "events",
        ["workspace_id", "commit_order", "event_id"],
        unique=False,
    )
    op.create_index(
        "ix_events_contact_id",
        "events",
        ["workspace_id", "contact_id"],
        unique=False,
        sqlite_where=sa.text("contact_id IS NOT NULL"),
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )


def _idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("idempotency_key", text(), nullable=False),
        sa.Column("fingerprint", text(), nullable=False),
        sa.Column("status", integer(), nullable=True),
        sa.Column("body", blob(), nullable=True),
        sa.Column("etag", text(), nullable=True),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("kept_until", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "idempotency_key", name="pk_idempotency_keys"),
        sa.CheckConstraint(
            "(status IS NULL) = (body IS NULL)", name=op.f("ck_idempotency_keys_answer_whole")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_idempotency_keys_workspace_id",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_idempotency_keys_kept_until", "idempotency_keys", ["workspace_id", "kept_until"], unique=False
    )


def _replays() -> None:
    op.create_table(
        "replays",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("replay_id", identifier(), nullable=False),
        sa.Column("state", text(), nullable=False),
        sa.Column("since", integer(), nullable=False),
        sa.Column("until", integer(), nullable=False),
        sa.Column("states", text(), nullable=False),
        sa.Column("outcome_id", identifier(), nullable=True),
        sa.Column("endpoint_id", identifier(), nullable=True),
        sa.Column("matched", integer(), nullable=False),
        sa.Column("requeued", integer(), nullable=False),
        sa.Column("after_at", integer(), nullable=False),
        sa.Column("after_id", identifier(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("finished_at", integer(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "replay_id", name="pk_replays"),
        sa.CheckConstraint("requeued BETWEEN 0 AND matched", name=op.f("ck_replays_counts")),
        sa.CheckConstraint("(state = 'running') = (finished_at IS NULL)", name=op.f("ck_replays_finished")),
        sa.CheckConstraint("state IN ('running', 'done', 'canceled')", name=op.f("ck_replays_state")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], ondelete="CASCADE", name="fk_replays_workspace_id"
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_replays_running",
        "replays",
        ["workspace_id", "created_at"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _report_counts() -> None:
    op.create_table(
        "report_counts",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("measure", text(), nullable=False),
        sa.Column("width_ms", integer(), nullable=False),
        sa.Column("subject", text(), nullable=False),
        sa.Column("slot", integer(), nullable=False),
        sa.Column("label", text(), nullable=False),
        sa.Column("counted", integer(), nullable=False),
        sa.Column("total_ms", integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "workspace_id", "measure", "width_ms", "subject", "slot", "label", name="pk_report_counts"
        ),
        sa.CheckConstraint("slot % width_ms = 0", name=op.f("ck_report_counts_slot")),
        sa.CheckConstraint(
            "subject = '' OR subject LIKE '=%' AND width_ms > 900000", name=op.f("ck_report_counts_subject")
        ),
        sa.CheckConstraint("width_ms IN (900000, 3600000, 86400000)", name=op.f("ck_report_counts_width")),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_report_counts_workspace_id",
        ),
        sqlite_strict=True,
    )


def _report_marks() -> None:
    op.create_table(
        "report_marks",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("measure", text(), nullable=False),
        sa.Column("counted_until", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "measure", name="pk_report_marks"),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_report_marks_workspace_id",
        ),
        sqlite_strict=True,
    )


def _smart_lists() -> None:
    op.create_table(
        "smart_lists",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("smart_list_id", identifier(), nullable=False),
        sa.Column("smart_list_name", text(), nullable=False),
        sa.Column("name_key", text(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("updated_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "smart_list_id", name="pk_smart_lists"),
        sa.CheckConstraint("length(smart_list_name) BETWEEN 1 AND 120", name=op.f("ck_smart_lists_name")),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_smart_lists_workspace_id",
        ),
        sa.UniqueConstraint("workspace_id", "name_key", name="uq_smart_lists_workspace_id_name_key"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_smart_lists_created_at_smart_list_id",
        "smart_lists",
        ["workspace_id", "created_at", "smart_list_id"],
        unique=False,
    )


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("token_id", identifier(), nullable=False),
        sa.Column("token_hash", text(), nullable=False),
        sa.Column("token_prefix", text(), nullable=False),
        sa.Column("name", text(), nullable=True),
        sa.Column("scopes", text(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("expires_at", integer(), nullable=True),
        sa.Column("last_used_at", integer(), nullable=True),
        sa.Column("revoked_at", integer(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "token_id", name="pk_tokens"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], ondelete="CASCADE", name="fk_tokens_workspace_id"
        ),
        sa.UniqueConstraint("workspace_id", "token_hash", name="uq_tokens_workspace_id_token_hash"),
        sqlite_strict=True,
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("user_id", identifier(), nullable=False),
        sa.Column("email", text(), nullable=False),
        sa.Column("email_key", text(), nullable=False),
        sa.Column("name", text(), nullable=False),
        sa.Column("role", text(), nullable=False),
        sa.Column("agent_id", text(), nullable=True),
        sa.Column("password_hash", text(), nullable=True),
        sa.Column("theme", text(), nullable=False),
        sa.Column("shortcuts_enabled", flag(), nullable=False),
        sa.Column("disabled_at", integer(), nullable=True),
        sa.Column("signed_in_at", integer(), nullable=True),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("updated_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name="pk_users"),
        sa.CheckConstraint("length(agent_id) BETWEEN 1 AND 128", name=op.f("ck_users_agent_id")),
        sa.CheckConstraint("role IN ('agent', 'supervisor', 'administrator')", name=op.f("ck_users_role")),
        sa.CheckConstraint("shortcuts_enabled IN (0, 1)", name=op.f("ck_users_shortcuts_enabled")),
        sa.CheckConstraint("theme IN ('system', 'light', 'dark')", name=op.f("ck_users_theme")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], ondelete="CASCADE", name="fk_users_workspace_id"
        ),
        sa.UniqueConstraint("workspace_id", "agent_id", name="uq_users_workspace_id_agent_id"),
        sa.UniqueConstraint("workspace_id", "email_key", name="uq_users_workspace_id_email_key"),
        sqlite_strict=True,
    )
    op.create_index("ix_users_email_key", "users", ["email_key"], unique=False)


def _webhook_secrets() -> None:
    op.create_table(
        "webhook_secrets",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("secret_id", identifier(), nullable=False),
        sa.Column("secret", text(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("expires_at", integer(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "secret_id", name="pk_webhook_secrets"),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_webhook_secrets_workspace_id",
        ),
        sqlite_strict=True,
    )


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("call_id", identifier(), nullable=False),
        sa.Column("state", text(), nullable=False),
        sa.Column("direction", text(), nullable=False),
        sa.Column("phone_number", text(), nullable=True),
        sa.Column("contact_id", identifier(), nullable=True),
        sa.Column("agent_id", text(), nullable=True),
        sa.Column("external_id", text(), nullable=True),
        sa.Column("line_result", text(), nullable=True),
        sa.Column("started_at", integer(), nullable=False),
        sa.Column("answered_at", integer(), nullable=True),
        sa.Column("ended_at", integer(), nullable=True),
        sa.Column("wrap_up_since", integer(), nullable=True),
        sa.Column("closed_at", integer(), nullable=True),
        sa.Column("created_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "call_id", name="pk_calls"),
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_calls_closed")),
        sa.CheckConstraint("direction IN ('inbound', 'outbound')", name=op.f("ck_calls_direction")),
        sa.CheckConstraint(
            "(state IN ('ringing', 'live')) = (ended_at IS NULL)", name=op.f("ck_calls_ended")
        ),
        sa.CheckConstraint(
            "line_result IN ('completed', 'no_answer', 'busy', 'voicemail', 'failed', 'canceled', 'unknown')",
            name=op.f("ck_calls_line_result"),
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (line_result IS NULL)", name=op.f("ck_calls_line_result_when_ended")
        ),
        sa.CheckConstraint("state <> 'live' OR answered_at IS NOT NULL", name=op.f("ck_calls_live_answered")),
        sa.CheckConstraint(
            "state <> 'ringing' OR answered_at IS NULL", name=op.f("ck_calls_ringing_unanswered")
        ),
        sa.CheckConstraint("state IN ('ringing', 'live', 'wrap_up', 'closed')", name=op.f("ck_calls_state")),
        sa.CheckConstraint(
            "ended_at >= started_at AND answered_at >= started_at", name=op.f("ck_calls_times")
        ),
        sa.CheckConstraint(
            "state = 'closed' OR (state = 'wrap_up') = (wrap_up_since IS NOT NULL)",
            name=op.f("ck_calls_wrap_up"),
        ),
        sa.CheckConstraint("state <> 'wrap_up' OR agent_id IS NOT NULL", name=op.f("ck_calls_wrap_up_agent")),
        sa.CheckConstraint("closed_at >= wrap_up_since", name=op.f("ck_calls_wrap_up_times")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], ondelete="CASCADE", name="fk_calls_workspace_id"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.agent_id"],
            ondelete="NO ACTION",
            name="fk_calls_workspace_id_agent_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "contact_id"],
            ["contacts.workspace_id", "contacts.contact_id"],
            ondelete="NO ACTION",
            name="fk_calls_workspace_id_contact_id",
        ),
        sa.UniqueConstraint("workspace_id", "external_id", name="uq_calls_workspace_id_external_id"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_calls_agent_id_started_at_call_id",
        "calls",
        ["workspace_id", "agent_id", "started_at", "call_id"],
        unique=False,
    )
    op.create_index(
        "ix_calls_closed_at",
        "calls",
        ["workspace_id", "closed_at"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NOT NULL"),
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_calls_contact_id_started_at_call_id",
        "calls",
        ["workspace_id", "contact_id", "started_at", "call_id"],
        unique=False,
    )
    op.create_index(
        "ix_calls_open",
        "calls",
        ["workspace_id", "agent_id"],
        unique=False,
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_index(
        "ix_calls_started_at_call_id", "calls", ["workspace_id", "started_at", "call_id"], unique=False
    )
    op.create_index(
        "ix_calls_wrap_up",
        "calls",
        ["workspace_id", "wrap_up_since"],
        unique=False,
        sqlite_where=sa.text("state = 'wrap_up'"),
        postgresql_where=sa.text("state = 'wrap_up'"),
    )


def _contact_import_numbers() -> None:
    op.create_table(
        "contact_import_numbers",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("import_id", identifier(), nullable=False),
        sa.Column("run", integer(), nullable=False),
        sa.Column("phone_number", text(), nullable=False),
        sa.Column("contact", text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "workspace_id", "import_id", "run", "phone_number", name="pk_contact_import_numbers"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "import_id"],
            ["contact_imports.workspace_id", "contact_imports.import_id"],
            ondelete="CASCADE",
            name="fk_contact_import_numbers_workspace_id_import_id",
        ),
        sqlite_strict=True,
    )


def _contact_import_parts() -> None:
    op.create_table(
        "contact_import_parts",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("import_id", identifier(), nullable=False),
        sa.Column("number", integer(), nullable=False),
        sa.Column("content", blob(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "import_id", "number", name="pk_contact_import_parts"),
        sa.CheckConstraint("number >= 1", name=op.f("ck_contact_import_parts_number")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "import_id"],
            ["contact_imports.workspace_id", "contact_imports.import_id"],
            ondelete="CASCADE",
            name="fk_contact_import_parts_workspace_id_import_id",
        ),
        sqlite_strict=True,
    )


def _contact_import_problems() -> None:
    op.create_table(
        "contact_import_problems",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("import_id", identifier(), nullable=False),
        sa.Column("row_number", integer(), nullable=False),
        sa.Column("problems", text(), nullable=False),
        sa.Column("cells", text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "import_id", "row_number", name="pk_contact_import_problems"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "import_id"],
            ["contact_imports.workspace_id", "contact_imports.import_id"],
            ondelete="CASCADE",
            name="fk_contact_import_problems_workspace_id_import_id",
        ),
        sqlite_strict=True,
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("delivery_id", identifier(), nullable=False),
        sa.Column("endpoint_id", identifier(), nullable=False),
        sa.Column("applied_id", identifier(), nullable=True),
        sa.Column("outcome_id", identifier(), nullable=True),
        sa.Column("call_id", identifier(), nullable=True),
        sa.Column("contact_id", identifier(), nullable=True),
        sa.Column("webhook_url", text(), nullable=False),
        sa.Column("payload", text(), nullable=True),
        sa.Column("state", text(), nullable=False),
        sa.Column("due_at", integer(), nullable=True),
        sa.Column("attempt_count", integer(), nullable=False),
        sa.Column("schedule_step", integer(), nullable=False),
        sa.Column("lease_id", identifier(), nullable=True),
        sa.Column("last_error", text(), nullable=True),
        sa.Column("last_status", integer(), nullable=True),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("finished_at", integer(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "delivery_id", name="pk_deliveries"),
        sa.CheckConstraint(
            "attempt_count >= 0 AND schedule_step >= 0 AND schedule_step <= attempt_count",
            name=op.f("ck_deliveries_counts"),
        ),
        sa.CheckConstraint("(state = 'pending') = (due_at IS NOT NULL)", name=op.f("ck_deliveries_due")),
        sa.CheckConstraint(
            "(state = 'pending') = (finished_at IS NULL)", name=op.f("ck_deliveries_finished")
        ),
        sa.CheckConstraint("lease_id IS NULL OR state = 'pending'", name=op.f("ck_deliveries_lease")),
        sa.CheckConstraint(
            "state IN ('pending', 'succeeded', 'exhausted', 'canceled')", name=op.f("ck_deliveries_state")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_deliveries_workspace_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "endpoint_id"],
            ["endpoints.workspace_id", "endpoints.endpoint_id"],
            ondelete="NO ACTION",
            name="fk_deliveries_workspace_id_endpoint_id",
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_deliveries_call_id", "deliveries", ["workspace_id", "call_id"], unique=False)
    op.create_index(
        "ix_deliveries_contact_id_created_at",
        "deliveries",
        ["workspace_id", "contact_id", "created_at"],
        unique=False,
    )
    op.create_index(
        "ix_deliveries_created_at_delivery_id",
        "deliveries",
        ["workspace_id", "created_at", "delivery_id"],
        unique=False,
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["workspace_id", "endpoint_id", "due_at", "delivery_id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_deliveries_endpoint_id_created_at",
        "deliveries",
        ["workspace_id", "endpoint_id", "created_at"],
        unique=False,
    )
    op.create_index(
        "ix_deliveries_kept",
        "deliveries",
        ["workspace_id", "finished_at"],
        unique=False,
        sqlite_where=sa.text("payload IS NOT NULL AND finished_at IS NOT NULL"),
        postgresql_where=sa.text("payload IS NOT NULL AND finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_leased",
        "deliveries",
        ["workspace_id", "endpoint_id", "lease_id", "due_at"],
        unique=False,
        sqlite_where=sa.text("lease_id IS NOT NULL"),
        postgresql_where=sa.text("lease_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_outcome_id_created_at",
        "deliveries",
        ["workspace_id", "outcome_id", "created_at"],
        unique=False,
    )
    op.create_index(
        "ix_deliveries_state_created_at_delivery_id",
        "deliveries",
        ["workspace_id", "state", "created_at", "delivery_id"],
        unique=False,
    )


def _endpoint_hours() -> None:
    op.create_table(
        "endpoint_hours",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("endpoint_id", identifier(), nullable=False),
        sa.Column("hour", integer(), nullable=False),
        sa.Column("succeeded_count", integer(), nullable=False),
        sa.Column("failed_count", integer(), nullable=False),
        sa.Column("last_success_at", integer(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "endpoint_id", "hour", name="pk_endpoint_hours"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "endpoint_id"],
            ["endpoints.workspace_id", "endpoints.endpoint_id"],
            ondelete="CASCADE",
            name="fk_endpoint_hours_workspace_id_endpoint_id",
        ),
        sqlite_strict=True,
    )


def _list_moves() -> None:
    op.create_table(
        "list_moves",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("move_id", identifier(), nullable=False),
        sa.Column("contact_id", identifier(), nullable=True),
        sa.Column("smart_list_id", identifier(), nullable=False),
        sa.Column("smart_list_name", text(), nullable=False),
        sa.Column("direction", text(), nullable=False),
        sa.Column("source", text(), nullable=False),
        sa.Column("applied_id", identifier(), nullable=True),
        sa.Column("moved_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "move_id", name="pk_list_moves"),
        sa.CheckConstraint("direction IN ('joined', 'left')", name=op.f("ck_list_moves_direction")),
        sa.CheckConstraint(
            "source IN ('applied', 'request') AND (source = 'applied') = (applied_id IS NOT NULL)",
            name=op.f("ck_list_moves_source"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "contact_id"],
            ["contacts.workspace_id", "contacts.contact_id"],
            ondelete="NO ACTION",
            name="fk_list_moves_workspace_id_contact_id",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_list_moves_contact_id_moved_at_move_id",
        "list_moves",
        ["workspace_id", "contact_id", "moved_at", "move_id"],
        unique=False,
    )
    op.create_index(
        "ix_list_moves_moved_at",
        "list_moves",
        ["workspace_id", "moved_at"],
        unique=False,
        sqlite_where=sa.text("moved_at IS NOT NULL"),
        postgresql_where=sa.text("moved_at IS NOT NULL"),
    )


def _memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("smart_list_id", identifier(), nullable=False),
        sa.Column("contact_id", identifier(), nullable=False),
        sa.Column("since", integer(), nullable=False),
        sa.Column("source", text(), nullable=False),
        sa.Column("applied_id", identifier(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "smart_list_id", "contact_id", name="pk_memberships"),
        sa.CheckConstraint(
            "source IN ('applied', 'request') AND (source = 'applied') = (applied_id IS NOT NULL)",
            name=op.f("ck_memberships_source"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "contact_id"],
            ["contacts.workspace_id", "contacts.contact_id"],
            ondelete="CASCADE",
            name="fk_memberships_workspace_id_contact_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "smart_list_id"],
            ["smart_lists.workspace_id", "smart_lists.smart_list_id"],
            ondelete="CASCADE",
            name="fk_memberships_workspace_id_smart_list_id",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_memberships_contact_id_since_smart_list_id",
        "memberships",
        ["workspace_id", "contact_id", "since", "smart_list_id"],
        unique=False,
    )
    op.create_index(
        "ix_memberships_smart_list_id_since_contact_id",
        "memberships",
        ["workspace_id", "smart_list_id", "since", "contact_id"],
        unique=False,
    )


def _outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("outcome_id", identifier(), nullable=False),
        sa.Column("outcome_name", text(), nullable=False),
        sa.Column("outcome_type", text(), nullable=False),
        sa.Column("display_order", integer(), nullable=False),
        sa.Column("destination_type", text(), nullable=False),
        sa.Column("destination_id", identifier(), nullable=True),
        sa.Column("remove_all", flag(), nullable=True),
        sa.Column("remove_list_ids", text(), nullable=True),
        sa.Column("webhook_url", text(), nullable=True),
        sa.Column("endpoint_id", identifier(), nullable=True),
        sa.Column("revision", integer(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("updated_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "outcome_id", name="pk_outcomes"),
        sa.CheckConstraint(
            "display_order BETWEEN -2147483648 AND 2147483647", name=op.f("ck_outcomes_display_order")
        ),
        sa.CheckConstraint(
            "(webhook_url IS NULL) = (endpoint_id IS NULL)", name=op.f("ck_outcomes_endpoint")
        ),
        sa.CheckConstraint("length(outcome_name) BETWEEN 1 AND 120", name=op.f("ck_outcomes_name")),
        sa.CheckConstraint(
            "(destination_type = 'none' AND destination_id IS NULL AND remove_all IS NULL AND remove_list_ids IS NULL) OR (destination_type = 'smart_list' AND destination_id IS NOT NULL AND remove_all IS NULL AND remove_list_ids IS NULL) OR (destination_type = 'remove_from_smart_list' AND destination_id IS NULL AND (remove_all IS NULL) <> (remove_list_ids IS NULL))",
            name=op.f("ck_outcomes_one_destination"),
        ),
        sa.CheckConstraint("remove_all = 1", name=op.f("ck_outcomes_remove_all")),
        sa.CheckConstraint("outcome_type IN ('action', 'disposition')", name=op.f("ck_outcomes_type")),
        sa.CheckConstraint(
            "outcome_type = 'disposition' OR webhook_url IS NOT NULL", name=op.f("ck_outcomes_webhook")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.workspace_id"], ondelete="CASCADE", name="fk_outcomes_workspace_id"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "endpoint_id"],
            ["endpoints.workspace_id", "endpoints.endpoint_id"],
            ondelete="NO ACTION",
            name="fk_outcomes_workspace_id_endpoint_id",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_outcomes_display_order_created_at_outcome_id",
        "outcomes",
        ["workspace_id", "display_order", "created_at", "outcome_id"],
        unique=False,
    )


def _user_links() -> None:
    op.create_table(
        "user_links",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("link_id", identifier(), nullable=False),
        sa.Column("user_id", identifier(), nullable=True),
        sa.Column("secret_hash", text(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("expires_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "link_id", name="pk_user_links"),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.workspace_id"],
            ondelete="CASCADE",
            name="fk_user_links_workspace_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "user_id"],
            ["users.workspace_id", "users.user_id"],
            ondelete="CASCADE",
            name="fk_user_links_workspace_id_user_id",
        ),
        sa.UniqueConstraint("workspace_id", "secret_hash", name="uq_user_links_workspace_id_secret_hash"),
        sqlite_strict=True,
    )
    op.create_index("ix_user_links_user_id", "user_links", ["workspace_id", "user_id"], unique=False)


def _user_sessions() -> None:
    op.create_table(
        "user_sessions",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("session_id", identifier(), nullable=False),
        sa.Column("user_id", identifier(), nullable=False),
        sa.Column("secret_hash", text(), nullable=False),
        sa.Column("user_agent", text(), nullable=False),
        sa.Column("created_at", integer(), nullable=False),
        sa.Column("seen_at", integer(), nullable=False),
        sa.Column("expires_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", name="pk_user_sessions"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "user_id"],
            ["users.workspace_id", "users.user_id"],
            ondelete="CASCADE",
            name="fk_user_sessions_workspace_id_user_id",
        ),
        sa.UniqueConstraint("workspace_id", "secret_hash", name="uq_user_sessions_workspace_id_secret_hash"),
        sqlite_strict=True,
    )
    op.create_index("ix_user_sessions_seen_at", "user_sessions", ["workspace_id", "seen_at"], unique=False)
    op.create_index("ix_user_sessions_user_id", "user_sessions", ["workspace_id", "user_id"], unique=False)


def _applied_outcomes() -> None:
    op.create_table(
        "applied_outcomes",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("applied_id", identifier(), nullable=False),
        sa.Column("call_id", identifier(), nullable=False),
        sa.Column("contact_id", identifier(), nullable=True),
        sa.Column("outcome_id", identifier(), nullable=False),
        sa.Column("outcome_name", text(), nullable=False),
        sa.Column("outcome_type", text(), nullable=False),
        sa.Column("agent_id", text(), nullable=True),
        sa.Column("note", text(), nullable=True),
        sa.Column("destination", text(), nullable=False),
        sa.Column("lists_added", text(), nullable=False),
        sa.Column("lists_removed", text(), nullable=False),
        sa.Column("error_message", text(), nullable=False),
        sa.Column("delivery_id", identifier(), nullable=True),
        sa.Column("applied_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "applied_id", name="pk_applied_outcomes"),
        sa.CheckConstraint(
            "outcome_type IN ('action', 'disposition')", name=op.f("ck_applied_outcomes_type")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "call_id"],
            ["calls.workspace_id", "calls.call_id"],
            ondelete="CASCADE",
            name="fk_applied_outcomes_workspace_id_call_id",
        ),
        sa.UniqueConstraint(
            "workspace_id",
            "call_id",
            "outcome_id",
            name="uq_applied_outcomes_workspace_id_call_id_outcome_id",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_applied_outcomes_applied_at",
        "applied_outcomes",
        ["workspace_id", "applied_at"],
        unique=False,
        sqlite_where=sa.text("applied_at IS NOT NULL"),
        postgresql_where=sa.text("applied_at IS NOT NULL"),
    )
    op.create_index(
        "ix_applied_outcomes_contact_id_applied_at_applied_id",
        "applied_outcomes",
        ["workspace_id", "contact_id", "applied_at", "applied_id"],
        unique=False,
    )
    op.create_index(
        "uq_applied_outcomes_disposition",
        "applied_outcomes",
        ["workspace_id", "call_id"],
        unique=True,
        sqlite_where=sa.text("outcome_type = 'disposition'"),
        postgresql_where=sa.text("outcome_type = 'disposition'"),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("delivery_id", identifier(), nullable=False),
        sa.Column("number", integer(), nullable=False),
        sa.Column("started_at", integer(), nullable=False),
        sa.Column("duration_ms", integer(), nullable=False),
        sa.Column("remote_address", text(), nullable=True),
        sa.Column("status", integer(), nullable=True),
        sa.Column("response_headers", text(), nullable=False),
        sa.Column("response_body", text(), nullable=False),
        sa.Column("error", text(), nullable=True),
        sa.Column("error_detail", text(), nullable=True),
        sa.Column("timings", text(), nullable=False),
        sa.Column("next_attempt_at", integer(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "delivery_id", "number", name="pk_attempts"),
        sa.CheckConstraint("duration_ms >= 0", name=op.f("ck_attempts_duration")),
        sa.CheckConstraint(
            "error IN ('dns', 'connect', 'tls', 'timeout', 'blocked', 'http_status', 'protocol')",
            name=op.f("ck_attempts_error"),
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_attempts_number")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "delivery_id"],
            ["deliveries.workspace_id", "deliveries.delivery_id"],
            ondelete="CASCADE",
            name="fk_attempts_workspace_id_delivery_id",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_attempts_started_at",
        "attempts",
        ["workspace_id", "started_at"],
        unique=False,
        sqlite_where=sa.text("started_at IS NOT NULL"),
        postgresql_where=sa.text("started_at IS NOT NULL"),
    )


def _drafts() -> None:
    op.create_table(
        "drafts",
        sa.Column("workspace_id", identifier(), nullable=False),
        sa.Column("call_id", identifier(), nullable=False),
        sa.Column("user_id", identifier(), nullable=False),
        sa.Column("outcome_id", identifier(), nullable=True),
        sa.Column("note", text(), nullable=False),
        sa.Column("updated_at", integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "call_id", "user_id", name="pk_drafts"),
        sa.CheckConstraint("length(note) <= 4000", name=op.f("ck_drafts_note")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "call_id"],
            ["calls.workspace_id", "calls.call_id"],
            ondelete="CASCADE",
            name="fk_drafts_workspace_id_call_id",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "user_id"],
            ["users.workspace_id", "users.user_id"],
            ondelete="CASCADE",
            name="fk_drafts_workspace_id_user_id",
        ),
        sqlite_strict=True,
    )
