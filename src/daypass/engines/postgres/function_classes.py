"""Functions whose call says more than `select`: what they do, by name.

A text cannot tell what a function of the customer's does; its EXECUTE privilege is the database's
to enforce. These are the functions PostgreSQL, its contrib modules and well-known extensions bring.
"""

from __future__ import annotations

from typing import Final

from daypass.domain.statement_class import StatementClass

_BUILT_IN: Final[dict[StatementClass, str]] = {
    # Files, other backends, replication, backup, statistics and storage.
    StatementClass.ADMIN: """
        pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_ls_dir pg_ls_logdir
        pg_ls_waldir pg_ls_tmpdir pg_ls_archive_statusdir pg_ls_logicalmapdir pg_ls_logicalsnapdir
        pg_ls_replslotdir pg_ls_summariesdir pg_current_logfile pg_hba_file_rules
        pg_show_all_file_settings pg_ident_file_mappings
        lo_import lo_export
        pg_terminate_backend pg_cancel_backend pg_reload_conf pg_rotate_logfile
        pg_rotate_logfile_old pg_log_backend_memory_contexts pg_get_process_memory_contexts
        pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup pg_promote pg_switch_wal
        pg_switch_xlog pg_create_restore_point pg_wal_replay_pause pg_wal_replay_resume
        pg_export_snapshot pg_log_standby_snapshot pg_sync_replication_slots
        pg_create_physical_replication_slot pg_create_logical_replication_slot
        pg_drop_replication_slot pg_copy_physical_replication_slot
        pg_copy_logical_replication_slot pg_replication_slot_advance
        pg_logical_emit_message
        pg_stat_reset pg_stat_reset_shared pg_stat_reset_single_table_counters
        pg_stat_reset_single_function_counters pg_stat_reset_slru pg_stat_reset_replication_slot
        pg_stat_reset_subscription_stats pg_stat_reset_backend_stats
        pg_restore_relation_stats pg_restore_attribute_stats pg_clear_relation_stats
        pg_clear_attribute_stats
        pg_import_system_collations pg_nextoid pg_stop_making_pinned_objects
        brin_summarize_new_values brin_summarize_range brin_desummarize_range
        gin_clean_pending_list pg_mcv_list_items
        pg_config pg_get_aios pg_get_backend_memory_contexts pg_get_shmem_allocations
        pg_get_shmem_allocations_numa pg_show_replication_origin_status pg_stat_have_stats
    """,
    # They run a text as a statement: what it reads or writes cannot be seen here.
    StatementClass.CALL: """
        query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml
        cursor_to_xmlschema table_to_xml table_to_xmlschema table_to_xml_and_xmlschema
        schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml
        database_to_xmlschema database_to_xml_and_xmlschema ts_stat ts_rewrite
    """,
    # Sequences and large objects.
    StatementClass.INSERT: """
        nextval lo_creat lo_create lo_from_bytea
    """,
    StatementClass.UPDATE: """
        setval lowrite lo_put lo_truncate lo_truncate64
    """,
    StatementClass.DELETE: "lo_unlink",
}

_OF_EXTENSIONS: Final[dict[StatementClass, str]] = {
    # Other servers, the file system, raw pages, jobs, the network.
    StatementClass.ADMIN: """
        pg_file_write pg_file_read pg_file_sync pg_file_rename pg_file_unlink pg_file_length
        pg_logdir_ls
        get_raw_page page_header page_checksum heap_page_items heap_page_item_attrs
        heap_tuple_infomask_flags fsm_page_contents bt_metap bt_page_stats bt_multi_page_stats
        bt_page_items brin_page_type brin_metapage_info brin_revmap_data brin_page_items
        gin_metapage_info gin_page_opaque_info gin_leafpage_items gist_page_opaque_info
        gist_page_items gist_page_items_bytea hash_page_type hash_page_stats hash_page_items
        hash_bitmap_info hash_metapage_info tuple_data_split
        pg_truncate_visibility_map heap_force_kill heap_force_freeze
        pg_get_wal_records_info pg_get_wal_record_info pg_get_wal_block_info
        verify_heapam bt_index_check bt_index_parent_check gin_index_check
        pg_buffercache_evict pg_buffercache_evict_relation pg_buffercache_evict_all
        pg_stat_statements_reset pg_prewarm autoprewarm_start_worker autoprewarm_dump_now
        postgres_fdw_get_connections postgres_fdw_disconnect postgres_fdw_disconnect_all
        pg_background_launch pg_background_result pg_background_detach
        query_export_to_s3 table_import_from_s3 invoke
        http http_get http_post http_put http_patch http_delete http_head
        schedule schedule_in_database unschedule alter_job
    """,
    StatementClass.CALL: """
        crosstab crosstab2 crosstab3 crosstab4 crosstabn connectby xpath_table
    """,
}

_ADMIN_PREFIXES: Final = ("dblink", "binary_upgrade_", "pg_logical_slot_", "pg_replication_origin_")

FILE_FUNCTIONS: Final = frozenset({"lo_import", "lo_export"})
"""Large object functions that read and write the server's files."""

_READ_ONLY_NAMES: Final = """
    abs age any_value array_agg array_length array_lower array_position array_remove array_to_json
    array_to_string array_upper avg bool_and bool_or bit_length btrim cardinality ceil char_length
    chr clock_timestamp concat concat_ws count
    current_catalog current_database current_query current_role current_schema current_schemas
    current_setting current_user col_description date_part date_trunc extract floor format
    format_type generate_series generate_subscripts get_byte greatest has_any_column_privilege
    has_column_privilege has_database_privilege has_foreign_data_wrapper_privilege
    has_function_privilege has_language_privilege has_parameter_privilege has_schema_privilege
    has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege
    has_type_privilege inet_client_addr inet_client_port inet_server_addr inet_server_port
    information_schema._pg_expandarray _pg_expandarray _pg_char_max_length _pg_numeric_precision
    _pg_numeric_scale initcap json_agg json_build_array json_build_object json_object_agg
    jsonb_agg jsonb_build_array jsonb_build_object jsonb_object_agg jsonb_pretty least left length
    lower lpad ltrim max md5 min mod now nullif obj_description octet_length pg_backend_pid
    pg_char_to_encoding pg_client_encoding pg_collation_is_visible pg_conf_load_time
    pg_conversion_is_visible pg_database_size pg_describe_object pg_encoding_to_char
    pg_function_is_visible pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr
    pg_get_function_arg_default pg_get_function_arguments pg_get_function_identity_arguments
    pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef
    pg_get_keywords pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef
    pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
    pg_get_statisticsobjdef_columns pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role
    pg_identify_object pg_index_column_has_property pg_index_has_property
    pg_indexam_has_property pg_indexes_size pg_is_in_recovery pg_is_other_temp_schema
    pg_jit_available pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_my_temp_schema
    pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible
    pg_partition_ancestors pg_partition_root pg_partition_tree pg_postmaster_start_time
    pg_relation_is_publishable pg_relation_is_updatable pg_relation_size
    pg_safe_snapshot_blocking_pids pg_sequence_parameters pg_size_pretty pg_table_is_visible
    pg_table_size pg_tablespace_location pg_tablespace_size pg_total_relation_size
    pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible
    pg_ts_template_is_visible pg_type_is_visible pg_typeof position quote_ident quote_literal
    quote_nullable regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table repeat replace reverse right round row_number rpad rtrim session_user
    shobj_description similar_to_escape split_part string_agg string_to_array
    strpos substr substring sum textlen timezone to_char to_date to_json to_jsonb to_number
    to_regclass to_regnamespace to_regproc to_regrole to_regtype to_timestamp
    transaction_timestamp statement_timestamp translate trim trunc txid_current
    txid_current_if_assigned pg_current_xact_id pg_current_xact_id_if_assigned unnest upper user
    version aclexplode acldefault makeaclitem pg_advisory_unlock_all pg_blocking_pids
    pg_column_is_updatable pg_current_wal_lsn pg_current_snapshot pg_xact_commit_timestamp
    pg_collation_actual_version pg_conf_load_time pg_available_extension_versions
    pg_show_all_settings pg_lock_status
"""


_READ_ONLY: Final = frozenset(_READ_ONLY_NAMES.split())


def _by_name(table: dict[StatementClass, str]) -> dict[str, StatementClass]:
    return {name: each for each, names in table.items() for name in names.split()}


_BUILT_IN_BY_NAME: Final = _by_name(_BUILT_IN)
_OF_EXTENSIONS_BY_NAME: Final = _by_name(_OF_EXTENSIONS)


def function_class(parts: tuple[str, ...]) -> StatementClass | None:
    """Return the class that calling the function asks for, besides its statement's own.

    Extensions may live in any schema, what PostgreSQL brings in `pg_catalog` alone.
    """
    name = parts[-1]
    if len(parts) == 1 or parts[-2] == "pg_catalog":
        found = _BUILT_IN_BY_NAME.get(name)
        if found is not None:
            return found
    if name.startswith(_ADMIN_PREFIXES):
        return StatementClass.ADMIN
    return _OF_EXTENSIONS_BY_NAME.get(name) if _may_be_extension(parts) else None


def reads_nothing_of_the_customers(function: str) -> bool:
    """Say whether a function, as written, is a built-in one that shows no table's rows."""
    return function.removeprefix("pg_catalog.") in _READ_ONLY


def _may_be_extension(parts: tuple[str, ...]) -> bool:
    # Short words such as `schedule` are the extension's in its own schema only.
    own_schema = {"schedule": "cron", "schedule_in_database": "cron", "unschedule": "cron"}
    own_schema |= {"alter_job": "cron", "invoke": "aws_lambda"}
    wanted = own_schema.get(parts[-1])
    return wanted is None or (len(parts) > 1 and parts[-2] == wanted)
