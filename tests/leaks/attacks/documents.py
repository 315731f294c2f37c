"""Rows as documents: JSON and XML, made from queries, tables, cursors and whole databases."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Attack, attack

ATTACKS: Final[tuple[Attack, ...]] = (
    attack("row_to_json", "select row_to_json(c) from <sales>.customers c limit 10"),
    attack("to_jsonb", "select to_jsonb(c) from <sales>.customers c limit 10"),
    attack(
        "to_json of a row and its parts",
        "select to_json(array[c.email::text, c.phone]) from <sales>.customers c limit 10",
    ),
    attack("json_agg", "select json_agg(c) from <sales>.customers c where id < 9"),
    attack(
        "json_build_object",
        "select json_build_object('e', email, 'n', notes) from <sales>.customers limit 20",
    ),
    attack("json_object_agg", "select json_object_agg(id, email) from <sales>.customers"),
    attack(
        "json_object of arrays",
        "select json_object(array_agg(id::text), array_agg(card_number)) from <sales>.customers",
    ),
    attack(
        "jsonb_populate_record",
        "select (jsonb_populate_record(null::<sales>.customers, to_jsonb(c))).email"
        " from <sales>.customers c limit 9",
    ),
    attack(
        "jsonb_to_recordset",
        "select x.phone from jsonb_to_recordset((select jsonb_agg(c) from <sales>.customers c))"
        " as x (phone text) limit 20",
    ),
    attack(
        "JSON_TABLE",
        "select t.* from <sales>.customers, json_table(profile, '$' columns (e text path"
        " '$.contact.email', s text path '$.address.street')) as t limit 20",
        since=17,
    ),
    attack(
        "JSON_VALUE and JSON_QUERY",
        "select json_value(profile, '$.contact.email'), json_query(profile, '$.address')"
        " from <sales>.customers limit 20",
        since=17,
    ),
    attack(
        "JSON_OBJECT and JSON_ARRAYAGG",
        "select json_object('m': email), json_arrayagg(phone) over () from <sales>.customers"
        " limit 9",
        since=16,
    ),
    attack(
        "JSON_SERIALIZE",
        "select json_serialize(to_json(c)) from <sales>.customers c limit 5",
        since=17,
    ),
    attack(
        "query_to_xml",
        "select query_to_xml('select email from <sales>.customers limit 9', true, true, '')",
        feature="xml",
    ),
    attack(
        "query_to_xml of the base table",
        "select query_to_xml('select email from sales.customers limit 9', true, false, '')",
        expect="42501",
        feature="xml",
    ),
    attack(
        "query_to_xml_and_xmlschema",
        "select query_to_xml_and_xmlschema('select phone from sales.customers limit 9',"
        " true, false, '')",
        expect="42501",
        feature="xml",
    ),
    attack(
        "table_to_xml of the base table",
        "select table_to_xml('sales.loyalty_members', true, false, '')",
        expect="42501",
        feature="xml",
    ),
    attack(
        "table_to_xml by oid",
        "select table_to_xml((select oid from pg_class where relname = 'loyalty_members'"
        " and relkind = 'r')::regclass, true, false, '')",
        expect="42501",
        feature="xml",
    ),
    attack(
        "table_to_xml of a view",
        "select table_to_xml('<sales>.loyalty_members', true, false, '')",
        feature="xml",
    ),
    attack(
        "schema_to_xml of the base schema",
        "select substr(schema_to_xml('hr', true, false, '')::text, 1, 200000)",
        expect="masked",
        feature="xml",
    ),
    attack(
        "schema_to_xml of the views",
        "select substr(schema_to_xml('<hr>', true, false, '')::text, 1, 200000)",
        feature="xml",
    ),
    attack(
        "database_to_xml",
        "select substr(database_to_xml(true, false, '')::text, 1, 300000)",
        expect="masked|42501",
        feature="xml",
    ),
    attack(
        "database_to_xml_and_xmlschema",
        "select substr(database_to_xml_and_xmlschema(true, true, 'x')::text, 1, 300000)",
        expect="masked|42501",
        feature="xml",
    ),
    attack(
        "cursor_to_xml",
        "begin; declare c cursor for select email, phone from <sales>.customers;"
        " select cursor_to_xml('c', 20, true, false, ''); commit",
        feature="xml",
    ),
    attack(
        "xmlelement and xmlforest",
        "select xmlelement(name x, xmlattributes(email as e), xmlforest(phone, notes))"
        " from <sales>.customers limit 9",
        feature="xml",
    ),
    attack(
        "xmlagg",
        "select xmlagg(xmlelement(name e, email)) from <sales>.customers where id < 30",
        feature="xml",
    ),
    attack(
        "xpath of what was made of it",
        "select xpath('//email/text()', query_to_xml('select email from <sales>.customers limit 9',"
        " true, false, ''))",
        feature="xml",
    ),
    attack(
        "xmltable",
        "select t.* from xmltable('/table/row' passing query_to_xml('select email from"
        " <sales>.customers limit 9', true, false, '') columns email text) as t",
        feature="xml",
    ),
    attack(
        "external entity",
        'select xmlparse(document \'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
        "<x>&e;</x>')",
        control="none",
        why="the server's XML library loads no external entity for anybody",
        feature="xml",
    ),
)
