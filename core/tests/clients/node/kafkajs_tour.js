// kafkajs' tour: node kafkajs_tour.js BOOTSTRAP
//
// No lz4: its codec is a native addon that no longer builds, and the pure one writes linked blocks, which Kafka refuses.
// Its consumer is always a member of a group; partitions that are named are read through the Cluster below it.

import assert from 'node:assert/strict'
import process from 'node:process'

import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import { ZstdCodec } from 'zstd-codec'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs
const zstd = await new Promise(resolve => ZstdCodec.run(zstd => resolve(new zstd.Simple())))
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
})

const TOPIC = `tour-kafkajs-${process.pid}`
const PARTITIONS = 3
const RECORDS = 100
const START_MS = 1_700_000_000_000
const PATIENCE_MS = 30_000
const CODECS = ['None', 'GZIP', 'Snappy', 'ZSTD']

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.NOTHING })

/** Prints the step's outcome; the first that fails ends the program. */
async function step(name, work) {
  try {
    await work()
    console.log(`ok   ${name}`)
  } catch (error) {
    console.log(`FAIL ${name}: ${error.message}`)
    process.exit(1)
  }
}

/** One partition's records of a codec, each a second after the one before it; all shapes of keys and headers. */
function records(codec) {
  const base = START_MS + CODECS.indexOf(codec) * RECORDS * 1_000
  return Array.from({ length: RECORDS }, (_, n) => ({
    key: n % 3 === 0 ? null : `${codec}-key-${n}`,
    value: n % 17 === 5 && n % 3 !== 0 ? null : `${codec}-${n}-` + 'x'.repeat(n * 7),
    headers: n % 4 === 0 ? { n: [`${n}`, 'again'], empty: '' } : {},
    timestamp: String(base + n * 1_000),
  }))
}

const allRecords = () => CODECS.flatMap(records)

/** Waits for what a cluster may take a moment to show everywhere. */
async function until(what, condition) {
  const deadline = Date.now() + PATIENCE_MS
  while (!(await condition())) {
    assert(Date.now() < deadline, `${what}: not within ${PATIENCE_MS} ms`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

async function produce(codec) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let from = 0; from < RECORDS; from += 25) {
    const messages = records(codec)
      .slice(from, from + 25)
      .flatMap(record => [0, 1, 2].map(partition => ({ ...record, partition })))
    await producer.send({ topic: TOPIC, messages, acks: -1, compression: CompressionTypes[codec] })
  }
  await producer.disconnect()
}

function assertSame(found, offset) {
  const text = bytes => (bytes === null ? null : bytes.toString())
  const headers = Object.entries(found.headers).map(([key, value]) => [
    key,
    Array.isArray(value) ? value.map(text) : text(value),
  ])
  const { key, value, timestamp } = found
  assert.deepEqual(
    { key: text(key), value: text(value), headers: Object.fromEntries(headers), timestamp },
    allRecords()[offset]
  )
}

/** The records of a partition from an offset on, as many as there are or `count`. */
async function read(cluster, partition, offset, count) {
  const leaders = cluster.findLeaderForPartitions(TOPIC, [partition])
  const broker = await cluster.findBroker({ nodeId: Object.keys(leaders)[0] })
  const found = []
  while (found.length < count) {
    const next = offset + found.length
    const partitions = [{ partition, fetchOffset: String(next), maxBytes: 1 << 16 }]
    const topics = [{ topic: TOPIC, partitions }]
    const { responses } = await broker.fetch({ maxWaitTime: 5_000, minBytes: 1, topics })
    const { messages } = responses[0].partitions[0]
    // A batch comes whole, also when its middle was asked for.
    const wanted = messages.filter(message => Number(message.offset) >= next)
    assert(wanted.length > 0, `nothing at offset ${next}`)
    wanted.forEach((message, i) => assert.equal(Number(message.offset), next + i))
    found.push(...wanted)
  }
  return found
}

function privateCluster() {
  const symbols = Object.getOwnPropertySymbols(kafka)
  const create = symbols.find(symbol => symbol.description === 'private:Kafka:createCluster')
  return kafka[create]({ metadataMaxAge: 300_000 })
}

async function consume(cluster) {
  await cluster.connect()
  await cluster.addTargetTopic(TOPIC)
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const found = await read(cluster, partition, 0, allRecords().length)
    found.forEach(assertSame)
  }
}

/** A member of a group; `seen` is what it has read, and `share` how many partitions it has. */
async function member(groupId) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 500 })
  const found = { consumer, seen: 0, share: 0 }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    found.share = (payload.memberAssignment[TOPIC] ?? []).length
  })
  await consumer.connect()
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  await consumer.run({ autoCommitInterval: 500, eachMessage: async () => void found.seen++ })
  return found
}

async function share(admin) {
  const group = `${TOPIC}-group`
  const end = String(allRecords().length)
  const committed = async () => {
    const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [TOPIC] })
    return partitions.map(({ offset }) => offset)
  }
  const first = await member(group)
  await step('group: subscribe and read everything', () =>
    until('read', () => first.seen === PARTITIONS * allRecords().length)
  )
  await step('group: commit', () =>
    until('committed', async () => (await committed()).every(offset => offset === end))
  )
  const second = await member(group)
  await step('group: a second member takes its share', () =>
    until('shared', () => first.share + second.share === PARTITIONS && second.share > 0)
  )
  await step('group: the first one leaves', async () => {
    await first.consumer.disconnect()
    await until('taken over', () => second.share === PARTITIONS)
    assert.equal(second.seen, 0)
  })
  await step('group: describe', async () => {
    const { groups } = await admin.describeGroups([group])
    assert.deepEqual([groups[0].state, groups[0].members.length], ['Stable', 1])
    await second.consumer.disconnect()
  })
  await step('group: list', async () => {
    const { groups } = await admin.listGroups()
    assert(groups.some(({ groupId }) => groupId === group))
  })
  await step('group: reset offsets', async () => {
    await admin.setOffsets({ groupId: group, topic: TOPIC, partitions: [{ partition: 0, offset: '7' }] })
    assert.equal((await committed())[0], '7')
  })
  await step('group: delete', async () => {
    await admin.deleteGroups([group])
    const { groups } = await admin.listGroups()
    assert(!groups.some(({ groupId }) => groupId === group))
  })
}

async function administer(admin) {
  const resource = { type: ConfigResourceTypes.TOPIC, name: TOPIC }
  const config = async key => {
    const { resources } = await admin.describeConfigs({ resources: [resource], includeSynonyms: false })
    return resources[0].configEntries.find(entry => entry.configName === key).configValue
  }
  await step('describe configs', async () => assert.equal(await config('retention.ms'), '-1'))
  await step('alter configs, the whole set', async () => {
    // The records are old: by any other retention they might be gone before the tour ends.
    const configEntries = [{ name: 'max.message.bytes', value: '54321' }, { name: 'retention.ms', value: '-1' }]
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
    await until('altered', async () => (await config('max.message.bytes')) === '54321')
  })
  await step('add partitions', async () => {
    await admin.createPartitions({ topicPartitions: [{ topic: TOPIC, count: PARTITIONS + 2 }] })
    await until('added', () => hasPartitions(admin, PARTITIONS + 2))
    // The client gives up at once where a leader does not know yet that it is one.
    await until('led', () => admin.fetchTopicOffsets(TOPIC).then(
      offsets => offsets.length === PARTITIONS + 2,
      () => false
    ))
  })
  await step('delete records', async () => {
    await admin.deleteTopicRecords({ topic: TOPIC, partitions: [{ partition: 0, offset: '7' }] })
    const offsets = await admin.fetchTopicOffsets(TOPIC)
    assert.equal(offsets.find(({ partition }) => partition === 0).low, '7')
  })
  await step('describe cluster', async () => {
    assert.equal((await admin.describeCluster()).brokers.length, 1)
  })
  await step('delete topic', async () => {
    await admin.deleteTopics({ topics: [TOPIC] })
    await until('deleted', async () => !(await admin.listTopics()).includes(TOPIC))
  })
}

async function hasPartitions(admin, count) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [TOPIC] })
  return topics[0].partitions.length === count
}

const admin = kafka.admin()
await admin.connect()
await step('create topic', async () => {
  const configEntries = [{ name: 'retention.ms', value: '-1' }]
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS, configEntries }] })
})
await step('describe topic', () => until('partitions', () => hasPartitions(admin, PARTITIONS)))
for (const codec of CODECS) {
  await step(`produce, idempotent, ${codec}`, () => produce(codec))
}
const cluster = privateCluster()
await step('consume from the start', () => consume(cluster))
await step('list offsets', async () => {
  const offsets = await admin.fetchTopicOffsets(TOPIC)
  assert.equal(offsets.length, PARTITIONS)
  offsets.forEach(({ low, high }) => {
    assert.deepEqual([low, high], ['0', String(allRecords().length)])
  })
})
await step('consume from a time', async () => {
  const offsets = await admin.fetchTopicOffsetsByTimestamp(TOPIC, START_MS + 123_456)
  assert.equal(offsets.find(({ partition }) => partition === 1).offset, '124')
  const found = await read(cluster, 1, 124, 1)
  assertSame(found[0], 124)
})
await share(admin)
await administer(admin)
await cluster.disconnect()
await admin.disconnect()
