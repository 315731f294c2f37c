// What pgjdbc does through the gateway. Each check's outcome is printed as JSON; the test that runs
// this judges them one by one. Its arguments: what every URL has, and the options that choose each
// grant; then a URL that goes around the gateway, to compare with.

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;

public class Checks {
    interface Check {
        Object run() throws Exception;
    }

    interface Work {
        Object with(Connection connection) throws Exception;
    }

    static Map<String, String> given;

    public static void main(String[] arguments) throws Exception {
        given = new LinkedHashMap<>();
        for (String each : arguments) {
            given.put(each.substring(0, each.indexOf('=')), each.substring(each.indexOf('=') + 1));
        }
        Map<String, Object> outcomes = new LinkedHashMap<>();
        Map<String, Check> checks = checks();
        var ending = CompletableFuture.supplyAsync(() -> outcome(Checks::endsWithItsGrant));
        for (var each : checks.entrySet()) {
            outcomes.put(each.getKey(), outcome(each.getValue()));
        }
        outcomes.put("ends_with_its_grant", ending.get(60, TimeUnit.SECONDS));
        System.out.print(json(outcomes));
    }

    static Object outcome(Check check) {
        Map<String, Object> said = new LinkedHashMap<>();
        try {
            said.put("value", check.run());
        } catch (Throwable error) {
            said.put("failed", error.toString() + " " + Arrays.toString(error.getStackTrace()));
        }
        return said;
    }

    static Connection open(String kind, String... more) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", given.get("user"));
        properties.setProperty("password", given.get("password"));
        properties.setProperty("sslmode", "verify-full");
        properties.setProperty("sslrootcert", given.get("certificate"));
        properties.setProperty("options", given.get("options." + kind));
        for (int i = 0; i < more.length; i += 2) {
            properties.setProperty(more[i], more[i + 1]);
        }
        return DriverManager.getConnection(given.get("url"), properties);
    }

    static Object with(String kind, Work work, String... more) throws Exception {
        try (Connection connection = open(kind, more)) {
            return work.with(connection);
        }
    }

    static Map<String, Object> refused(Check check) throws Exception {
        try {
            check.run();
            return null;
        } catch (SQLException error) {
            return told(error);
        }
    }

    static Map<String, Object> told(SQLException error) {
        Map<String, Object> said = new LinkedHashMap<>();
        said.put("state", error.getSQLState());
        said.put("message", error.getMessage());
        return said;
    }

    static Object one(Connection connection, String text) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(text)) {
            rows.next();
            return rows.getObject(1);
        }
    }

    static List<Object> rows(ResultSet result, int... columns) throws SQLException {
        List<Object> found = new ArrayList<>();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            for (int column : columns) {
                row.add(result.getString(column));
            }
            found.add(row);
        }
        return found;
    }

    static Map<String, Object> map(Object... pairs) {
        Map<String, Object> made = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            made.put((String) pairs[i], pairs[i + 1]);
        }
        return made;
    }

    static final String INSERT =
            "insert into sales.products (sku, name, category, price, cost) values (?, ?, ?, ?, ?)";

    static void product(PreparedStatement statement, String sku) throws SQLException {
        statement.setString(1, sku);
        statement.setString(2, "Java lamp");
        statement.setString(3, "lamps");
        statement.setBigDecimal(4, new java.math.BigDecimal("9.50"));
        statement.setBigDecimal(5, new java.math.BigDecimal("4.25"));
    }

    static Map<String, Check> checks() {
        Map<String, Check> all = new LinkedHashMap<>();
        all.put("connects", () -> with("read", connection -> {
            List<Object> notices = new ArrayList<>();
            for (SQLWarning w = connection.getWarnings(); w != null; w = w.getNextWarning()) {
                notices.add(w.getMessage());
            }
            DatabaseMetaData data = connection.getMetaData();
            return map("server", data.getDatabaseProductVersion(), "notices", notices,
                    "user", data.getUserName(), "valid", connection.isValid(2),
                    "catalog", connection.getCatalog(), "schema", connection.getSchema());
        }));
        all.put("wants_tls", () -> map(
                "plain", refused(() -> open("read", "sslmode", "disable")),
                "require", with("read", c -> one(c, "select 1"), "sslmode", "require"),
                "stranger", refused(() -> open("read", "sslrootcert", "/etc/hostname")),
                "password", refused(() -> open("read", "password", "dpt_1_wrong"))));
        all.put("looks_around", () -> {
            Object through = with("read", Checks::metadata);
            try (Connection direct = DriverManager.getConnection(given.get("direct"))) {
                return map("through", through, "direct", metadata(direct));
            }
        });
        all.put("describes_results", () -> with("read", connection -> {
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery("select * from sales.orders limit 1")) {
                ResultSetMetaData data = rows.getMetaData();
                List<Object> columns = new ArrayList<>();
                for (int i = 1; i <= data.getColumnCount(); i++) {
                    columns.add(List.of(data.getColumnName(i), data.getColumnTypeName(i)));
                }
                return map("columns", columns, "table", data.getTableName(1),
                        "schema", ((org.postgresql.PGResultSetMetaData) data).getBaseSchemaName(1),
                        "nullable", data.isNullable(1));
            }
        }));
        all.put("prepares", () -> with("read", connection -> {
            List<Object> seen = new ArrayList<>();
            String text = "select id, email from sales.customers where id = ?";
            try (PreparedStatement statement = connection.prepareStatement(text)) {
                for (int id = 1; id <= 9; id++) {
                    statement.setLong(1, id);
                    try (ResultSet rows = statement.executeQuery()) {
                        rows.next();
                        seen.add(List.of(rows.getLong(1), rows.getString(2)));
                    }
                }
                boolean named = ((org.postgresql.PGStatement) statement).isUseServerPrepare();
                return map("seen", seen, "named", named,
                        "prepared", one(connection, "select count(*) from pg_prepared_statements"));
            }
        }, "prepareThreshold", "3"));
        all.put("speaks_simply", () -> with("read", connection -> {
            String text = "select email from sales.customers where id = ? and region::text <> ?";
            try (PreparedStatement statement = connection.prepareStatement(text)) {
                statement.setLong(1, 3);
                statement.setString(2, "it's");
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    return rows.getString(1);
                }
            }
        }, "preferQueryMode", "simple"));
        all.put("streams", () -> with("read", connection -> {
            connection.setAutoCommit(false);
            int count = 0;
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(50);
                String text = "select id from sales.customers order by id";
                try (ResultSet rows = statement.executeQuery(text)) {
                    while (rows.next()) {
                        count += rows.getLong(1) == count + 1 ? 1 : 0;
                    }
                }
            }
            connection.commit();
            return count;
        }));
        all.put("copies_out", () -> {
            Map<String, Object> said = new LinkedHashMap<>();
            for (String kind : List.of("export", "read")) {
                said.put(kind, with(kind, connection -> {
                    var out = new ByteArrayOutputStream();
                    String text = "copy sales.customers (id, email) to stdout";
                    var problem = refused(() ->
                            connection.unwrap(PGConnection.class).getCopyAPI().copyOut(text, out));
                    String[] lines = out.toString(StandardCharsets.UTF_8).split("\n");
                    return map("problem", problem, "lines", lines.length, "first", lines[0],
                            "after", one(connection, "select 1"));
                }));
            }
            return said;
        });
        all.put("copies_in", () -> {
            Map<String, Object> said = new LinkedHashMap<>();
            for (String kind : List.of("load", "write")) {
                said.put(kind, with(kind, connection -> {
                    connection.setAutoCommit(false);
                    String text = "copy sales.products (sku, name, category, price, cost) from stdin";
                    String data = "j-1\tLamp\tlamps\t9.50\t4.25\nj-2\tB\tb\t1\t1\n";
                    List<Object> count = new ArrayList<>();
                    var problem = refused(() -> count.add(connection.unwrap(PGConnection.class)
                            .getCopyAPI().copyIn(text, new StringReader(data))));
                    connection.rollback();
                    return map("problem", problem, "count", count,
                            "after", one(connection, "select 1"));
                }));
            }
            return said;
        });
        all.put("cancels", () -> with("read", connection -> {
            try (Statement statement = connection.createStatement()) {
                long began = System.nanoTime();
                var cancelling = CompletableFuture.runAsync(() -> {
                    try {
                        Thread.sleep(300);
                        statement.cancel();
                    } catch (Exception error) {
                        throw new RuntimeException(error);
                    }
                });
                var problem = refused(() -> statement.execute("select pg_sleep(20)"));
                cancelling.get(5, TimeUnit.SECONDS);
                return map("problem", problem, "took_ms", (System.nanoTime() - began) / 1_000_000,
                        "after", one(connection, "select 1"));
            }
        }));
        all.put("stops_in_time", () -> with("read", connection -> {
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                return map("problem", refused(() -> statement.execute("select pg_sleep(20)")),
                        "after", one(connection, "select 1"));
            }
        }));
        all.put("writes", () -> with("write", connection -> {
            connection.setAutoCommit(false);
            long id;
            try (PreparedStatement statement =
                    connection.prepareStatement(INSERT, new String[] {"id"})) {
                product(statement, "j-1");
                statement.executeUpdate();
                ResultSet keys = statement.getGeneratedKeys();
                keys.next();
                id = keys.getLong(1);
            }
            Savepoint here = connection.setSavepoint("here");
            var unique = refused(() -> {
                try (PreparedStatement statement = connection.prepareStatement(INSERT)) {
                    product(statement, "j-1");
                    return statement.executeUpdate();
                }
            });
            connection.rollback(here);
            Object name = one(connection, "select name from sales.products where id = " + id);
            connection.rollback();
            return map("unique", unique, "name", name);
        }));
        all.put("updates_rows_of_a_result", () -> with("write", connection -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement(
                            ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                    ResultSet rows = statement.executeQuery(
                            "select id, name from sales.products where id = 1")) {
                rows.next();
                return refused(() -> {
                    rows.updateString(2, "renamed");
                    rows.updateRow();
                    return null;
                });
            } finally {
                connection.rollback();
            }
        }));
        for (String rewrites : List.of("false", "true")) {
            all.put("batches_" + rewrites, () -> with("write", connection -> {
                connection.setAutoCommit(false);
                try (PreparedStatement statement = connection.prepareStatement(INSERT)) {
                    for (int i = 0; i < 20; i++) {
                        product(statement, "j-" + i);
                        statement.addBatch();
                    }
                    int[] counts = statement.executeBatch();
                    Object seen = one(connection,
                            "select count(*) from sales.products where sku like 'j-%'");
                    connection.rollback();
                    return map("counts", counts.length, "seen", seen);
                }
            }, "reWriteBatchedInserts", rewrites));
        }
        all.put("is_denied_in_a_batch", () -> with("read", connection -> {
            Map<String, Object> said = new LinkedHashMap<>();
            try (Statement statement = connection.createStatement()) {
                statement.addBatch("create temp table noted (a int)");
                statement.addBatch("insert into noted values (1)");
                statement.addBatch("delete from sales.orders where id = 1");
                statement.addBatch("insert into noted values (2)");
                statement.executeBatch();
            } catch (BatchUpdateException error) {
                said.putAll(told(error));
                List<Object> counts = new ArrayList<>();
                for (long each : error.getLargeUpdateCounts()) {
                    counts.add(each);
                }
                said.put("counts", counts);
            }
            said.put("left", one(connection, "select to_regclass('pg_temp.noted')::text"));
            said.put("after", one(connection, "select 1"));
            return said;
        }));
        all.put("is_denied_inside", () -> with("read", connection -> {
            connection.setAutoCommit(false);
            one(connection, "select 1");
            var denied = refused(() -> one(connection, "delete from sales.orders returning id"));
            var aborted = refused(() -> one(connection, "select 1"));
            connection.rollback();
            connection.setAutoCommit(true);
            return map("denied", denied, "aborted", aborted,
                    "unknown", refused(() -> one(connection, "select * from sales.nothing")),
                    "broken", refused(() -> one(connection, "selec 1")),
                    "zero", refused(() -> one(connection, "select 1 / 0")),
                    "after", one(connection, "select 1"));
        }));
        all.put("saves_itself", () -> with("read", connection -> {
            connection.setAutoCommit(false);
            one(connection, "select 1");
            var denied = refused(() -> one(connection, "delete from sales.orders returning id"));
            Object after = one(connection, "select 2");
            connection.commit();
            return map("denied", denied, "after", after);
        }, "autosave", "always"));
        all.put("reads_only", () -> with("write", connection -> {
            connection.setReadOnly(true);
            connection.setAutoCommit(false);
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            var denied = refused(() -> one(connection, "delete from sales.orders returning id"));
            connection.rollback();
            return denied;
        }));
        all.put("hears_notices", () -> with("read", connection -> {
            try (Statement statement = connection.createStatement()) {
                statement.execute("create temp table noted (a int)");
                statement.execute("create temp table if not exists noted (a int)");
                SQLWarning warning = statement.getWarnings();
                return warning == null ? null : warning.getMessage();
            }
        }));
        return all;
    }

    static Object endsWithItsGrant() throws Exception {
        return with("ending", connection -> map(
                "problem", refused(() -> one(connection, "select pg_sleep(20)")),
                "after", refused(() -> one(connection, "select 1")),
                "valid", connection.isValid(1)));
    }

    static Object metadata(Connection connection) throws SQLException {
        DatabaseMetaData data = connection.getMetaData();
        return map(
                "schemas", rows(data.getSchemas(), 1),
                "tables", rows(data.getTables(null, "sales", "%", null), 2, 3, 4, 5),
                "columns", rows(data.getColumns(null, "sales", "%", "%"),
                        3, 4, 5, 6, 7, 9, 11, 12, 13, 17, 18, 23, 24),
                "primary", rows(data.getPrimaryKeys(null, "sales", "customers"), 3, 4, 5, 6),
                "imported", rows(data.getImportedKeys(null, "sales", "orders"), 3, 4, 7, 8, 12),
                "exported", rows(data.getExportedKeys(null, "sales", "customers"), 3, 4, 7, 8, 12),
                "indexes", rows(data.getIndexInfo(null, "sales", "customers", false, true),
                        3, 4, 6, 7, 9),
                "functions", rows(data.getFunctions(null, "sales", "%"), 2, 3, 4, 5),
                "function_columns",
                        rows(data.getFunctionColumns(null, "sales", "%", "%"), 3, 4, 5, 7),
                "procedures", rows(data.getProcedures(null, "billing", "%"), 2, 3),
                "types", rows(data.getUDTs(null, "sales", "%", null), 2, 3, 4, 5),
                "best", rows(data.getBestRowIdentifier(null, "sales", "orders", 2, true), 2, 4),
                "kinds", rows(data.getTableTypes(), 1));
    }

    static String json(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            return String.valueOf(value);
        }
        if (value instanceof Map<?, ?> map) {
            List<String> parts = new ArrayList<>();
            for (var each : map.entrySet()) {
                parts.add(json(each.getKey()) + ":" + json(each.getValue()));
            }
            return "{" + String.join(",", parts) + "}";
        }
        if (value instanceof List<?> list) {
            List<String> parts = new ArrayList<>();
            for (Object each : list) {
                parts.add(json(each));
            }
            return "[" + String.join(",", parts) + "]";
        }
        StringBuilder text = new StringBuilder("\"");
        for (char c : value.toString().toCharArray()) {
            text.append(c == '"' || c == '\\' || c < 32 || c > 126
                    ? String.format("\\u%04x", (int) c) : String.valueOf(c));
        }
        return text.append('"').toString();
    }
}
