-- One statement a line, each written by hand. What a splice replaces stands in « »; all else stays.
-- Relations in scope: sales.customers sales.orders sales.sales hr.staff "Sales"."Customers"
-- "verkäufe"."größe" public.t. Not in scope: sales.secret hr.salaries.

-- FROM
SELECT * FROM «sales».customers
SELECT * FROM customers
SELECT * FROM sales.secret
SELECT * FROM «sales».customers, sales.secret
TABLE «sales».customers
SELECT * FROM «sales».customers c
SELECT * FROM «sales».customers AS sales
SELECT * FROM «sales».customers sales, sales.secret
SELECT * FROM ONLY «sales».customers
SELECT * FROM ONLY («sales».customers) c
SELECT * FROM «sales».customers *
SELECT * FROM«"sales"».customers
SELECT*FROM«"sales"».customers
SELECT(«sales».orders.id)FROM/**/«sales».orders
SELECT * FROM «SALES».Customers
SELECT * FROM «"sales"»."customers"
SELECT * FROM «"Sales"»."Customers"
SELECT * FROM "Sales".customers
SELECT * FROM Sales.Secret, «Sales».Customers
SELECT * FROM «verkäufe».größe
SELECT 'äöü€😀', * FROM «"verkäufe"» . "größe" WHERE 'ß' <> «verkäufe».größe."straße"
SELECT * FROM «sales» . customers
SELECT * FROM «sales»/* . */./* . */customers
SELECT * FROM sales -- sales.orders
SELECT * FROM «U&"\0073ales"».customers
SELECT * FROM «u&"sales"».customers
SELECT * FROM «U&"s!0061les" UESCAPE '!'».customers
SELECT * FROM «U&"s!0061les"   UESCAPE  '!'»/* x */ . U&"custom#0065rs" UESCAPE '#'
SELECT * FROM «U&"s!0061les" /* ü */ UESCAPE /* y */ '!'» /* . */ . U&"custom#0065rs" UESCAPE '#'
SELECT «sales».orders.id FROM «sales».orders WHERE «sales».orders.id NOT /* sales.orders */ IN (1) ORDER BY 1 NULLS /* ü */ FIRST
SELECT * FROM shop.«sales».customers
SELECT * FROM "sales".«sales».customers
SELECT * FROM sales.«sales».customers, sales.sales.secret
SELECT * FROM U&"sh\006fp" . «sales» /* . */ . customers
SELECT * FROM U&"s!0061les" UESCAPE '!' . «U&"s!0061les" UESCAPE '!'» . customers
SELECT * FROM «sales».sales
SELECT sales FROM «sales».sales AS sales
SELECT * FROM «public».t, t
SELECT * FROM «sales».customers TABLESAMPLE system (10)
SELECT * FROM (SELECT * FROM «sales».customers) sales
SELECT * FROM ((((SELECT * FROM «sales».customers)))) q
SELECT * FROM (VALUES (1)) sales (customers), «sales».customers
(SELECT * FROM «sales».customers) UNION ALL (TABLE «sales».orders)
SELECT id FROM «sales».customers EXCEPT ALL SELECT id FROM sales.secret INTERSECT SELECT id FROM «hr».staff
((TABLE «sales».customers))

-- Joins
SELECT * FROM «sales».customers JOIN «sales».orders ON «sales».customers.id = «sales».orders.customer_id
SELECT * FROM «sales».customers c JOIN «sales».orders o USING (id)
SELECT * FROM «sales».customers NATURAL JOIN «sales».orders
SELECT * FROM «sales».customers CROSS JOIN «hr».staff
SELECT * FROM «sales».customers LEFT OUTER JOIN («sales».orders INNER JOIN hr.salaries ON true) ON true
SELECT * FROM («sales».customers JOIN «sales».orders USING (id) AS j) x
SELECT * FROM «sales».customers FULL JOIN «hr».staff ON «hr».staff.name = «sales».customers.name AND hr.salaries.id = 1
SELECT * FROM «sales».customers, LATERAL (SELECT * FROM «sales».orders WHERE «sales».orders.customer_id = «sales».customers.id) o
SELECT * FROM «sales».customers c, LATERAL generate_series(1, c.id) g, LATERAL unnest(ARRAY[«sales».customers.id]) u
SELECT * FROM «sales».orders CROSS JOIN LATERAL (VALUES («sales».orders.id), («sales».orders.total)) v (x)
SELECT * FROM «sales».customers RIGHT JOIN LATERAL (TABLE «sales».orders) o ON «sales».customers.id = o.id

-- Columns
SELECT «sales».customers.id FROM «sales».customers
SELECT «sales».customers.* FROM «sales».customers
SELECT shop.«sales».customers.id FROM shop.«sales».customers
SELECT shop.«sales».customers.* FROM «sales».customers
SELECT sales.«sales».sales.sales FROM sales.secret
SELECT hr.sales.secret.sales FROM sales.secret
SELECT sales.«sales».sales.sales FROM «sales».sales
SELECT «sales».sales.sales FROM «sales».sales
SELECT sales.sales FROM «sales».sales
SELECT sales.customers FROM «sales».customers AS sales
SELECT sales.id, sales.customers, «sales».customers.sales FROM «sales».customers
SELECT customers.id FROM «sales».customers
SELECT customers.sales FROM «sales».customers
SELECT customers FROM «sales».customers
SELECT (customers).id FROM «sales».customers
SELECT («sales».customers.address).city FROM «sales».customers
SELECT («sales».customers.*) FROM «sales».customers
SELECT («sales».customers.*).id FROM «sales».customers
SELECT (sales.customers).id FROM «sales».customers -- two parts name no schema
SELECT «sales».customers.tags[1], «sales».customers.tags[1:2], «sales».customers.grid[1][«sales».customers.id] FROM «sales».customers
SELECT ARRAY[«sales».customers.id, «sales».customers.id + 1] FROM «sales».customers
SELECT ROW(«sales».customers.*), ROW(«sales».customers.id) FROM «sales».customers
SELECT row_to_json(«sales».customers.*) FROM «sales».customers
SELECT «sales».customers.* IS NULL FROM «sales».customers
SELECT «SALES».customers.ID, «"sales"»."customers"."id", "Sales".customers.id FROM «sales».customers
SELECT «sales» . customers . id FROM «sales».customers
SELECT «sales»./**/customers./**/* FROM «sales».customers
SELECT «U&"\0073ales"».customers.id FROM «sales».customers
SELECT «U&"s!0061les" UESCAPE '!'».customers.id, shop.«U&"s!0061les" UESCAPE '!'».customers.* FROM «sales».customers
SELECT a.«sales».customers.id, sales.a.customers.id FROM «sales».customers
SELECT sales.secret.id, «sales».customers.id FROM «sales».customers, sales.secret
SELECT -«sales».customers.id, +«sales».orders.id, ~«sales».orders.id FROM «sales».customers, «sales».orders
SELECT «sales».customers.id+«sales».customers.id*«sales».customers.id FROM «sales».customers
SELECT 1+«sales».customers.id FROM «sales».customers
SELECT «sales».customers.id::text, CAST(«sales».customers.id AS text) FROM «sales».customers
SELECT «sales».customers.name COLLATE "C", «sales».customers.t AT TIME ZONE 'UTC' FROM «sales».customers
SELECT «sales».customers.id AS sales, «sales».customers.id sales FROM «sales».customers
SELECT «sales».customers.id "sales.customers" FROM «sales».customers
SELECT «sales».customers.id BETWEEN «sales».customers.lo AND «sales».customers.hi FROM «sales».customers
SELECT «sales».customers.id IN («sales».customers.a, «sales».customers.b) FROM «sales».customers
SELECT «sales».customers.name LIKE «sales».customers.pattern ESCAPE '#' FROM «sales».customers
SELECT «sales».customers.a IS DISTINCT FROM «sales».customers.b, «sales».customers.a NOTNULL FROM «sales».customers
SELECT CASE «sales».customers.id WHEN «sales».customers.a THEN «sales».customers.b ELSE «sales».customers.c END FROM «sales».customers
SELECT COALESCE(«sales».customers.a, «sales».customers.b), NULLIF(«sales».customers.a, 1), GREATEST(«sales».customers.a) FROM «sales».customers
SELECT EXTRACT(year FROM «sales».customers.born), SUBSTRING(«sales».customers.name FROM 1 FOR 2), TRIM(BOTH ' ' FROM «sales».customers.name), POSITION('x' IN «sales».customers.name) FROM «sales».customers
SELECT OVERLAY(«sales».customers.name PLACING 'x' FROM 2) FROM «sales».customers
SELECT («sales».customers.a, «sales».customers.b) = («sales».customers.c, 1) FROM «sales».customers
SELECT («sales».customers.a, 1) OVERLAPS («sales».customers.b, 2) FROM «sales».customers
SELECT «sales».customers.doc -> 'a' ->> 'b', «sales».customers.doc #> '{a}', «sales».customers.doc @> '{}' FROM «sales».customers
SELECT «sales».customers.doc['a'] FROM «sales».customers
SELECT «sales».customers.a OPERATOR(pg_catalog.=) «sales».customers.b FROM «sales».customers
SELECT XMLELEMENT(NAME sales, XMLATTRIBUTES(«sales».customers.id AS sales), «sales».customers.name) FROM «sales».customers
SELECT XMLFOREST(«sales».customers.id), JSON_OBJECT('sales' : «sales».customers.id), JSON_ARRAY(«sales».customers.id) FROM «sales».customers
SELECT JSON_VALUE(«sales».customers.doc, '$.sales.customers'), «sales».customers.doc IS JSON FROM «sales».customers
SELECT * FROM JSON_TABLE(«sales».customers.doc, '$' COLUMNS (sales text PATH '$.customers')) j, «sales».customers
SELECT * FROM «sales».customers, XMLTABLE('/sales' PASSING «sales».customers.doc COLUMNS customers text)
SELECT f(«sales».customers.id, VARIADIC «sales».customers.tags), g(x => «sales».customers.id) FROM «sales».customers
SELECT f(«sales».customers.*), f(DISTINCT «sales».customers.id ORDER BY «sales».customers.name) FROM «sales».customers
SELECT string_agg(«sales».customers.name, ',' ORDER BY «sales».customers.id DESC) FILTER (WHERE «sales».customers.id > 1) FROM «sales».customers
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY «sales».orders.total) FROM «sales».orders
SELECT EXISTS (SELECT 1 WHERE «sales».customers.id = 1) FROM «sales».customers

-- Other clauses
SELECT * FROM «sales».customers WHERE «sales».customers.id = 1 AND NOT «sales».customers.gone OR «sales».customers.x IS NULL
SELECT 1 FROM «sales».customers GROUP BY «sales».customers.id, ROLLUP («sales».customers.a, «sales».customers.b) HAVING max(«sales».customers.c) > 1
SELECT 1 FROM «sales».customers GROUP BY GROUPING SETS ((«sales».customers.id), CUBE («sales».customers.a))
SELECT GROUPING(«sales».customers.id) FROM «sales».customers GROUP BY 1
SELECT * FROM «sales».customers ORDER BY «sales».customers.id
SELECT * FROM «sales».customers ORDER BY «sales».customers.name COLLATE "C" DESC NULLS LAST, «sales».customers.id USING >
SELECT DISTINCT ON («sales».customers.id) * FROM «sales».customers
SELECT * FROM «sales».orders LIMIT (SELECT count(*) FROM «sales».customers) OFFSET (SELECT min(«sales».customers.id) FROM «sales».customers)
SELECT row_number() OVER (PARTITION BY «sales».orders.customer_id ORDER BY «sales».orders.id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM «sales».orders
SELECT sum(«sales».orders.total) OVER w FROM «sales».orders WINDOW w AS (PARTITION BY «sales».orders.customer_id), sales AS (w ORDER BY «sales».orders.id)
SELECT * FROM «sales».customers FOR UPDATE
SELECT * FROM «sales».customers FOR UPDATE OF customers
SELECT * FROM «sales».customers c FOR NO KEY UPDATE OF c NOWAIT
SELECT * FROM «sales».customers sales FOR SHARE OF sales SKIP LOCKED
SELECT * FROM «sales».customers ORDER BY 1 FETCH FIRST 3 ROWS WITH TIES

-- Subqueries
SELECT (SELECT max(«sales».orders.total) FROM «sales».orders WHERE «sales».orders.customer_id = «sales».customers.id) FROM «sales».customers
SELECT * FROM «sales».customers WHERE id IN (SELECT «sales».orders.customer_id FROM «sales».orders)
SELECT * FROM «sales».customers WHERE id = ANY (SELECT id FROM sales.secret WHERE sales.secret.id = «sales».customers.id)
SELECT * FROM «sales».customers WHERE («sales».customers.a, b) NOT IN (TABLE «sales».orders)
SELECT ARRAY(SELECT «sales».orders.id FROM «sales».orders) FROM hr.salaries
SELECT * FROM (SELECT «sales».customers.id AS customers FROM «sales».customers) sales WHERE sales.customers = 1
SELECT (SELECT (SELECT (SELECT «sales».customers.id))) FROM «sales».customers

-- CTEs
WITH customers AS (SELECT * FROM «sales».customers) SELECT * FROM customers
WITH customers AS (SELECT 1 AS id) SELECT «sales».customers.id, customers.id FROM «sales».customers
WITH sales AS (SELECT 1 AS customers) SELECT sales.customers FROM sales
WITH sales AS (SELECT 1 AS id) SELECT «sales».customers.id, sales.id FROM «sales».customers, sales
WITH RECURSIVE c (id) AS (SELECT id FROM «sales».customers UNION ALL SELECT «sales».orders.id FROM «sales».orders JOIN c USING (id)) SELECT * FROM c
WITH a AS MATERIALIZED (TABLE «sales».customers), b AS (SELECT * FROM a, «sales».orders) TABLE b
WITH x AS (DELETE FROM «sales».orders WHERE «sales».orders.id = 1 RETURNING «sales».orders.*) SELECT * FROM x
WITH x AS (INSERT INTO «sales».orders SELECT * FROM «sales».orders RETURNING id), y AS (UPDATE «sales».customers SET name = '' RETURNING «sales».customers.id) SELECT * FROM x, y
WITH sales AS (SELECT 1) SELECT 1 -- a CTE's name stays

-- Writes
INSERT INTO «sales».orders VALUES (1)
INSERT INTO «sales».orders (id, sales, customers) VALUES (1, 2, 3)
INSERT INTO «sales».orders AS sales (id) VALUES (1)
INSERT INTO «sales».orders DEFAULT VALUES RETURNING *
INSERT INTO «sales».orders SELECT «sales».customers.* FROM «sales».customers
INSERT INTO «sales».orders TABLE «sales».orders
INSERT INTO «sales».orders (id) VALUES ((SELECT max(«sales».orders.id) FROM «sales».orders)) RETURNING «sales».orders.id
INSERT INTO «sales».orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = «sales».orders.total + excluded.total WHERE «sales».orders.id > 0
INSERT INTO «sales».orders (id) VALUES (1) ON CONFLICT (lower(name)) WHERE id > 1 DO NOTHING
INSERT INTO «sales».orders (addr.sales, tags[1]) VALUES ('x', 'y')
INSERT INTO sales.secret SELECT * FROM «sales».customers
INSERT INTO orders SELECT * FROM «sales».customers
INSERT INTO «sales».orders OVERRIDING USER VALUE VALUES (1) RETURNING WITH (OLD AS o, NEW AS n) o.id, n.id, «sales».orders.id
WITH orders AS (SELECT 1) INSERT INTO «sales».orders SELECT * FROM orders
UPDATE «sales».orders SET total = 0
UPDATE «sales».orders SET total = «sales».orders.total + 1 WHERE «sales».orders.id = 1
UPDATE «sales».orders AS sales SET sales.total = 0
UPDATE «sales».orders SET sales = 1, (a, b) = («sales».orders.b, «sales».orders.a)
UPDATE «sales».orders SET (a, b) = (SELECT «sales».customers.a, «sales».customers.b FROM «sales».customers WHERE «sales».customers.id = «sales».orders.id)
UPDATE «sales».orders SET total = «sales».customers.id FROM «sales».customers WHERE «sales».customers.id = «sales».orders.customer_id RETURNING «sales».orders.*, «sales».customers.name
UPDATE «sales».orders * SET total = 0
UPDATE ONLY («sales».orders) SET tags[1] = «sales».orders.name
UPDATE orders SET total = «sales».customers.id FROM «sales».customers
UPDATE «sales».orders SET addr.customers = 1 WHERE CURRENT OF sales
UPDATE sales.secret SET x = «sales».customers.id FROM «sales».customers WHERE sales.secret.id = 1
DELETE FROM «sales».orders
DELETE FROM «sales».orders WHERE «sales».orders.id = 1 RETURNING «sales».orders.id, «sales».orders.*
DELETE FROM «sales».orders sales WHERE sales.id = 1
DELETE FROM ONLY «sales».orders USING «sales».customers c, hr.salaries WHERE c.id = «sales».orders.customer_id AND hr.salaries.id = 2
DELETE FROM «sales».orders WHERE id IN (SELECT «sales».orders.id FROM «sales».orders)
MERGE INTO «sales».orders USING «sales».customers ON «sales».orders.customer_id = «sales».customers.id WHEN MATCHED THEN DELETE
MERGE INTO «sales».orders o USING (SELECT * FROM «sales».customers) c ON o.id = c.id WHEN MATCHED AND c.id > 1 THEN UPDATE SET total = c.id WHEN NOT MATCHED THEN INSERT (id) VALUES (c.id)
MERGE INTO ONLY «sales».orders USING sales.secret ON «sales».orders.id = sales.secret.id WHEN MATCHED AND «sales».orders.total > 1 THEN UPDATE SET total = «sales».orders.total WHEN NOT MATCHED BY SOURCE THEN DO NOTHING RETURNING merge_action(), «sales».orders.id
WITH s AS (TABLE «sales».customers) MERGE INTO «sales».orders USING s ON s.id = «sales».orders.id WHEN NOT MATCHED THEN INSERT DEFAULT VALUES

-- What holds other statements
EXPLAIN SELECT * FROM «sales».customers
EXPLAIN (ANALYZE, VERBOSE) DELETE FROM «sales».orders WHERE «sales».orders.id = 1
EXPLAIN CREATE TABLE sales.made AS SELECT * FROM «sales».customers
PREPARE sales AS SELECT * FROM «sales».customers WHERE «sales».customers.id = $1
PREPARE p (sales.status) AS INSERT INTO «sales».orders VALUES ($1)
DECLARE sales CURSOR FOR SELECT * FROM «sales».customers FOR UPDATE OF customers
COPY (SELECT «sales».customers.* FROM «sales».customers) TO STDOUT
COPY (DELETE FROM «sales».orders RETURNING *) TO STDOUT WITH (FORMAT csv)
CREATE TABLE sales.made AS SELECT * FROM «sales».customers
CREATE TEMP TABLE customers AS TABLE «sales».customers
SELECT «sales».customers.id INTO sales.made FROM «sales».customers
SELECT * INTO TEMP sales FROM «sales».customers
LOCK TABLE «sales».customers, sales.secret, ONLY «sales».orders IN ACCESS SHARE MODE

-- Nothing to splice: other things of the same names
SELECT 'sales.customers'
SELECT $$SELECT * FROM sales.customers$$
SELECT E'sales.customers\'', U&'sales.customers', B'1', N'sales.customers'
SELECT 'sales.customers'::regclass, regclass 'sales.customers', CAST('sales.customers' AS regclass)
SELECT 1 /* sales.customers.id */ -- sales.customers
SELECT sales.customers(1), sales.customers.customers(2)
SELECT sales.customers(«sales».customers.id) FROM «sales».customers
SELECT * FROM sales.customers(1)
SELECT * FROM sales.customers(1) AS customers, «sales».customers AS c
SELECT * FROM ROWS FROM (sales.customers(1), sales.orders(2)) AS x
SELECT x::sales.customers, CAST(NULL AS sales.orders[]), NULL::sales.sales
SELECT x::sales.status FROM «sales».orders
SELECT sales.status 'new', (NULL::sales.customers).id
SELECT * FROM f() AS (a sales.customers, b sales.status)
SELECT 1 OPERATOR(sales.+) 2, 'x' COLLATE sales.customers
SELECT * FROM json_to_record('{}') AS x (y sales.customers), «sales».customers
SELECT nextval('sales.orders'), currval('sales.orders'::regclass) FROM «sales».orders
SELECT JSON_VALUE(x, '$' RETURNING sales.status), XMLSERIALIZE(CONTENT x AS sales.status) FROM «sales».orders
CALL sales.customers(1)
DO $$ BEGIN DELETE FROM sales.customers; END $$
CREATE TABLE sales.customers (id int)
CREATE TABLE x (LIKE sales.customers, y sales.status REFERENCES sales.orders (id))
CREATE VIEW v AS SELECT sales.customers.id FROM sales.customers
CREATE TEMP VIEW v AS TABLE sales.customers
CREATE MATERIALIZED VIEW m AS TABLE sales.customers
CREATE RULE r AS ON INSERT TO sales.orders DO ALSO DELETE FROM sales.customers
CREATE FUNCTION f() RETURNS sales.customers BEGIN ATOMIC SELECT * FROM sales.customers; END
CREATE POLICY p ON sales.customers USING (id IN (SELECT id FROM sales.orders))
CREATE INDEX i ON sales.customers (id)
CREATE TRIGGER t AFTER UPDATE ON sales.customers EXECUTE FUNCTION sales.orders()
CREATE STATISTICS s ON a, b FROM sales.customers
CREATE TYPE sales.customers AS (a sales.orders)
ALTER TABLE sales.customers ADD x int DEFAULT sales.orders(1)
DROP TABLE sales.customers
TRUNCATE sales.customers, sales.orders
COPY sales.customers TO STDOUT
COPY sales.customers FROM STDIN
COMMENT ON COLUMN sales.customers.id IS 'sales.customers'
GRANT SELECT ON sales.customers TO PUBLIC
VACUUM sales.customers
REFRESH MATERIALIZED VIEW sales.customers
SET x.y = 'sales.customers'
EXECUTE sales ('sales.customers')
SELECT * FROM sales, customers
SELECT sales.customers.orders.id.x FROM t
SELECT customers.id.sales FROM t
SELECT a.b FROM a
DEALLOCATE sales

-- Several
SELECT * FROM «sales».customers; SELECT * FROM «sales».orders
; SELECT 'ü' FROM «sales».customers ;; /* sales.customers */ DELETE FROM «sales».orders WHERE «sales».orders.id = 1 ;
BEGIN; UPDATE «sales».orders SET total = «sales».orders.total; ALTER TABLE sales.orders ADD x int; COMMIT
SELECT * FROM «hr».staff, hr.salaries WHERE «hr».staff.id = hr.salaries.id AND «sales».customers.id = 1
SELECT «sales».orders.id,«hr».staff.id,«"Sales"»."Customers".id,«public».t.id FROM «sales».orders,«hr».staff,«"Sales"»."Customers",«public».t
