// What node-postgres does through the gateway. Each check's outcome is printed as JSON; the test
// that runs this judges them one by one. DESK holds the gateway's place and what chooses grants.

import fs from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import pg from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'

const desk = JSON.parse(process.env.DESK)
const ca = fs.readFileSync(desk.certificate, 'utf8')

function settings(kind, more = {}) {
  return {
    host: desk.host,
    port: desk.port,
    user: desk.user,
    password: desk.token,
    database: desk.database,
    options: desk.options[kind],
    ssl: { ca },
    ...more,
  }
}

async function connected(kind, work, more = {}) {
  const client = new pg.Client(settings(kind, more))
  const notices = []
  const errors = []
  client.on('notice', (notice) => notices.push(notice.message))
  client.on('error', (error) => errors.push(told(error)))
  await client.connect()
  try {
    return await work(client, notices, errors)
  } finally {
    await client.end()
  }
}

function told(error) {
  return { code: error.code ?? '', message: error.message, hint: error.hint ?? '' }
}

async function refused(work) {
  try {
    await work()
  } catch (error) {
    return told(error)
  }
  return null
}

async function one(client, text, values) {
  return (await client.query(text, values)).rows[0]
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const PRODUCT = ['n-1', 'Node lamp', 'lamps', '9.50', '4.25']
const INSERT =
  'insert into sales.products (sku, name, category, price, cost) values ($1, $2, $3, $4, $5)'

const checks = {
  connects: () =>
    connected('read', async (client, notices) => ({
      version: (await one(client, 'show server_version')).server_version,
      notices,
      encrypted: client.connection.stream.encrypted === true,
    })),

  binds_the_channel: () =>
    connected('read', async (client) => (await one(client, 'select 1 as n')).n, {
      enableChannelBinding: true,
    }),

  begins_with_tls: () =>
    connected('read', async (client) => (await one(client, 'select 1 as n')).n, {
      sslnegotiation: 'direct',
    }),

  wants_tls: async () => ({
    plain: await refused(() => connected('read', async () => 1, { ssl: false })),
    stranger: await refused(() =>
      connected('read', async () => 1, { ssl: { rejectUnauthorized: true } }),
    ),
    password: await refused(() => connected('read', async () => 1, { password: 'dpt_1_wrong' })),
  }),

  looks_around: () =>
    connected('read', async (client) => {
      const list = async (text) => (await client.query({ text, rowMode: 'array' })).rows
      return {
        tables: await list(
          "select table_schema, table_type from information_schema.tables where table_name = 'customers'",
        ),
        columns: await list(
          `select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull from pg_attribute a
           where attrelid = (select c.oid from pg_class c join pg_namespace n
             on n.oid = relnamespace where nspname = 'sales' and relname = 'customers')
           and attnum > 0 and not attisdropped order by attnum`,
        ),
        keys: await list(
          `select conname, pg_get_constraintdef(oid) from pg_constraint
           where connamespace = 'sales'::regnamespace order by 1`,
        ),
        functions: await list(
          "select proname from pg_proc where pronamespace = 'sales'::regnamespace order by 1",
        ),
      }
    }),

  prepares: () =>
    connected('read', async (client) => {
      const seen = []
      for (let id = 1; id <= 7; id++) {
        const text = 'select id, email from sales.customers where id = $1'
        const { rows } = await client.query({ name: 'by-id', text, values: [id] })
        seen.push([Number(rows[0].id), rows[0].email])
      }
      return seen
    }),

  keeps_types: () =>
    connected('read', (client) =>
      one(
        client,
        `select $1::int8 as big, $2::jsonb as doc, $3::text[] as list, $4::bytea as raw,
         $5::timestamptz as moment, $6::text as nothing, $7::bool as yes`,
        ['9007199254740993', { a: [1] }, ['x', 'ä"'], Buffer.from([0, 255]), new Date(0), null, true],
      ),
    ),

  reads_by_cursor: () =>
    connected('read', async (client) => {
      const cursor = client.query(new Cursor('select id from sales.customers order by id'))
      const first = await cursor.read(10)
      const second = await cursor.read(10)
      await cursor.close()
      return [first.length, second[0].id, (await one(client, 'select 1 as n')).n]
    }),

  streams: () =>
    connected('read', async (client) => {
      const text = 'select id from sales.customers order by id'
      let count = 0
      for await (const row of client.query(new QueryStream(text, [], { batchSize: 50 }))) {
        count += row.id === String(count + 1) ? 1 : 0
      }
      return count
    }),

  copies_out: async () => {
    const copied = (kind) =>
      connected(kind, async (client) => {
        let text = ''
        const problem = await refused(async () => {
          const out = client.query(copyTo('copy sales.customers (id, email) to stdout'))
          for await (const chunk of out) text += chunk
        })
        const after = (await one(client, 'select 1 as n')).n
        return { problem, after, lines: text.split('\n').length - 1, first: text.slice(0, 40) }
      })
    return { export: await copied('export'), read: await copied('read') }
  },

  copies_in: async () => {
    const copied = (kind) =>
      connected(kind, async (client) => {
        await client.query('begin')
        const problem = await refused(async () => {
          const text = 'copy sales.products (sku, name, category, price, cost) from stdin'
          const into = client.query(copyFrom(text))
          await pipeline(Readable.from(['n-1\tLamp\tlamps\t9.50\t4.25\n', 'n-2\tB\tb\t1\t1\n']), into)
        })
        const counting = "select count(*)::int as n from sales.products where sku like 'n-%'"
        const count = problem ? null : (await one(client, counting)).n
        await client.query('rollback')
        return { problem, count, after: (await one(client, 'select 1 as n')).n }
      })
    return { load: await copied('load'), write: await copied('write') }
  },

  cancels: () =>
    connected('read', async (client) => {
      const began = Date.now()
      const query = new pg.Query('select pg_sleep(20)')
      const over = new Promise((resolve) => {
        query.on('error', (error) => resolve(told(error)))
        query.on('end', () => resolve(null))
      })
      client.query(query)
      await sleep(300)
      // It cancels in plain text, whatever its connection speaks.
      const other = new pg.Client(settings('read', { ssl: false }))
      other.on('error', () => undefined)
      other.connection.on('error', () => undefined)
      other.cancel(client, query)
      const problem = await over
      return { problem, took: Date.now() - began, after: (await one(client, 'select 1 as n')).n }
    }),

  stops_in_time: () =>
    connected(
      'read',
      async (client) => ({
        problem: await refused(() => client.query('select pg_sleep(20)')),
        after: (await one(client, 'select 1 as n')).n,
      }),
      { statement_timeout: 300 },
    ),

  writes: () =>
    connected('write', async (client) => {
      await client.query('begin')
      const { rows } = await client.query(`${INSERT} returning id, sku`, PRODUCT)
      const changed = await client.query('update sales.products set price = price + 1 where id = $1', [
        rows[0].id,
      ])
      await client.query('savepoint here')
      const unique = await refused(() => client.query(INSERT, PRODUCT))
      await client.query('rollback to here')
      const { price } = await one(client, 'select price from sales.products where id = $1', [
        rows[0].id,
      ])
      await client.query('rollback')
      return { sku: rows[0].sku, changed: changed.rowCount, unique, price }
    }),

  is_denied_inside: () =>
    connected('read', async (client) => {
      await client.query('begin')
      await client.query('select 1')
      const denied = await refused(() => client.query('delete from sales.orders'))
      const aborted = await refused(() => client.query('select 1'))
      await client.query('rollback')
      const unknown = await refused(() => client.query('select * from sales.nothing'))
      const broken = await refused(() => client.query('selec 1'))
      const zero = await refused(() => client.query('select 1 / 0'))
      return { denied, aborted, unknown, broken, zero, after: (await one(client, 'select 1 as n')).n }
    }),

  pipelines: () =>
    connected(
      'read',
      async (client) => {
        const sent = [
          client.query('select $1::int as n', [1]),
          client.query('delete from sales.orders where id = $1', [1]),
          client.query('select $1::int as n', [3]),
        ]
        const seen = await Promise.allSettled(sent)
        const said = seen.map((each) => each.value?.rows[0].n ?? told(each.reason))
        return { said, after: (await one(client, 'select 1 as n')).n }
      },
      { pipeline: true },
    ),

  denies_a_whole_text: () =>
    connected('read', async (client) => ({
      denied: await refused(() => client.query('select 1; delete from sales.orders; select 2')),
      after: (await client.query('select 1 as n; select 2 as n')).map((each) => each.rows[0].n),
    })),

  hears_notices: () =>
    connected('read', async (client, notices) => {
      notices.length = 0
      await client.query('create temp table noted (a int)')
      await client.query('create temp table if not exists noted (a int)')
      return notices
    }),

  listens_to_nobody: () => connected('read', (client) => refused(() => client.query('listen news'))),

  pools: async () => {
    const pool = new pg.Pool(settings('read', { max: 3 }))
    const work = Array.from({ length: 12 }, (_, n) => pool.query('select $1::int as n', [n]))
    const seen = (await Promise.all(work)).map((each) => each.rows[0].n)
    await pool.end()
    return seen
  },

  ends_with_its_grant: () =>
    connected('ending', async (client, notices, errors) => {
      const problem = await refused(() => client.query('select pg_sleep(20)'))
      await sleep(50)
      return { problem, errors, after: await refused(() => client.query('select 1')) }
    }).catch(told),
}

const outcomes = {}
await Promise.all(
  // The one that waits for its deadline goes beside the others, which take turns.
  [['ends_with_its_grant'], Object.keys(checks).filter((name) => name !== 'ends_with_its_grant')].map(
    async (names) => {
      for (const name of names) {
        try {
          outcomes[name] = { value: (await checks[name]()) ?? null }
        } catch (error) {
          outcomes[name] = { failed: `${error.code ?? ''} ${error.stack}` }
        }
      }
    },
  ),
)
process.stdout.write(JSON.stringify(outcomes))
