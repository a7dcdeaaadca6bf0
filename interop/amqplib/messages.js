// Declaring, routing, publishing and what messages carry.
import { bound, channelOf, confirming, consume, drain, equal, exchange, Inbox, queue, ready, send } from './harness.js';

const text = (body) => Buffer.from(body);

export const messages = {
  async 'queue-lifecycle'(connection) {
    const channel = await confirming(connection);
    const { queue: named } = await channel.assertQueue('', { exclusive: true });
    equal(named.startsWith('amq.gen-'), true);
    send(channel, named, '1', '2', '3');
    await channel.waitForConfirms();
    equal(await ready(channel, named), [3, 0]);
    equal((await channel.purgeQueue(named)).messageCount, 3);
    send(channel, named, '4', '5');
    await channel.waitForConfirms();
    equal((await channel.deleteQueue(named)).messageCount, 2);
  },

  async direct(connection) {
    const channel = await channelOf(connection);
    const colours = await exchange(channel, 'direct');
    const [one, both] = [await bound(channel, colours, ['red']), await bound(channel, colours, ['red', 'blue'])];
    for (const colour of ['red', 'blue', 'green']) channel.publish(colours, colour, text(colour));
    equal([await drain(channel, one), await drain(channel, both)], [['red'], ['red', 'blue']]);
    await channel.unbindQueue(both, colours, 'blue');
    channel.publish(colours, 'blue', text('late'));
    equal([await drain(channel, one), await drain(channel, both)], [[], []]);
  },

  async fanout(connection) {
    const channel = await channelOf(connection);
    const news = await exchange(channel, 'fanout');
    const queues = [await bound(channel, news, ['']), await bound(channel, news, ['ignored'])];
    channel.publish(news, 'any', text('first'));
    channel.publish(news, '', text('second'));
    for (const each of queues) equal(await drain(channel, each), ['first', 'second']);
  },

  async topic(connection) {
    const channel = await channelOf(connection);
    const animals = await exchange(channel, 'topic');
    const sent = ['quick.orange.rabbit', 'lazy.orange.elephant', 'quick.brown.fox', 'lazy', 'lazy.pink.rabbit', ''];
    const wanted = {
      '*.orange.*': [sent[0], sent[1]], '*.*.rabbit': [sent[0], sent[4]], 'lazy.#': [sent[1], sent[3], sent[4]], '#': sent,
    };
    const queues = {};
    for (const pattern in wanted) queues[pattern] = await bound(channel, animals, [pattern]);
    for (const key of sent) channel.publish(animals, key, text(key));
    for (const pattern in wanted) equal([pattern, await drain(channel, queues[pattern])], [pattern, wanted[pattern]]);
  },

  async headers(connection) {
    const channel = await channelOf(connection);
    const documents = await exchange(channel, 'headers');
    const match = { format: 'pdf', type: 'report' };
    const every = await bound(channel, documents, [''], { 'x-match': 'all', ...match });
    const some = await bound(channel, documents, [''], { 'x-match': 'any', ...match });
    channel.publish(documents, '', text('both'), { headers: match });
    channel.publish(documents, '', text('one'), { headers: { format: 'pdf', type: 'log' } });
    channel.publish(documents, '', text('none'), { headers: { format: 'zip' } });
    equal([await drain(channel, every), await drain(channel, some)], [['both'], ['both', 'one']]);
  },

  async 'exchange-to-exchange'(connection) {
    const channel = await channelOf(connection);
    const [source, target] = [await exchange(channel, 'topic'), await exchange(channel, 'fanout')];
    const audited = await bound(channel, target, ['']);
    await bound(channel, source, ['kept.alive']);
    await channel.bindExchange(target, source, 'audit.#');
    channel.publish(source, 'audit.login', text('login'));
    channel.publish(source, 'other', text('other'));
    equal(await drain(channel, audited), ['login']);
    await channel.unbindExchange(target, source, 'audit.#');
    channel.publish(source, 'audit.login', text('late'));
    equal(await drain(channel, audited), []);
  },

  async 'alternate-exchange'(connection) {
    const channel = await confirming(connection);
    const returns = new Inbox();
    channel.on('return', returns.put);
    const rest = await exchange(channel, 'fanout');
    const main = await exchange(channel, 'direct', { alternateExchange: rest });
    const [known, unrouted] = [await bound(channel, main, ['known']), await bound(channel, rest, [''])];
    for (const key of ['known', 'unknown']) channel.publish(main, key, text(key), { mandatory: true });
    await channel.waitForConfirms();
    equal([await drain(channel, known), await drain(channel, unrouted), returns.arrived], [['known'], ['unknown'], []]);
  },

  async 'mandatory-return'(connection) {
    const channel = await confirming(connection);
    const returns = new Inbox();
    channel.on('return', returns.put);
    channel.publish('amq.direct', 'nowhere', text('lost'), { mandatory: true, messageId: 'm-1' });
    await channel.waitForConfirms();
    const { fields, properties, content } = await returns.next();
    equal([fields.replyCode, fields.replyText, fields.exchange, fields.routingKey, properties.messageId, content.toString()],
      [312, 'NO_ROUTE', 'amq.direct', 'nowhere', 'm-1', 'lost']);
    const own = await queue(channel);
    channel.publish('', own, text('found'), { mandatory: true });
    await channel.waitForConfirms();
    equal([await drain(channel, own), returns.arrived], [['found'], []]);
  },

  async confirm(connection) {
    const channel = await confirming(connection);
    const own = await queue(channel);
    send(channel, own, 'sure');
    await channel.waitForConfirms();
    equal(await ready(channel, own), [1, 0]);
  },

  async 'confirm-many'(connection) {
    const channel = await confirming(connection);
    const own = await queue(channel);
    const wanted = Array.from({ length: 1000 }, (_, number) => String(number));
    const times = new Map();
    const confirmed = (number) => (error) => times.set(number, error ? 'nack' : (times.get(number) ?? 0) + 1);
    for (const number of wanted) channel.sendToQueue(own, text(number), {}, confirmed(number));
    await channel.waitForConfirms();
    equal([...times.values()], wanted.map(() => 1));
    equal(await ready(channel, own), [1000, 0]);
    equal(await drain(channel, own), wanted);
  },

  async 'confirm-nack'(connection) {
    const channel = await confirming(connection);
    const full = await queue(channel, { maxLength: 1, arguments: { 'x-overflow': 'reject-publish' } });
    const acked = (body) => new Promise((resolve) => channel.sendToQueue(full, text(body), {}, (error) => resolve(!error)));
    equal([await acked('fits'), await acked('too many')], [true, false]);
    equal(await drain(channel, full), ['fits']);
  },

  async 'direct-reply-to'(connection) {
    const replyTo = 'amq.rabbitmq.reply-to';
    const [server, client] = [await channelOf(connection), await channelOf(connection)];
    const requests = await queue(server);
    const replies = await consume(client, replyTo, { noAck: true });
    client.sendToQueue(requests, text('6*7'), { replyTo, correlationId: 'c-7' });
    const request = await (await consume(server, requests, { noAck: true })).next();
    equal(request.properties.replyTo.slice(0, replyTo.length + 1), `${replyTo}.`);
    server.sendToQueue(request.properties.replyTo, text('42'), { correlationId: request.properties.correlationId });
    const reply = await replies.next();
    equal([reply.properties.correlationId, reply.content.toString()], ['c-7', '42']);
  },

  async properties(connection) {
    const channel = await channelOf(connection);
    const own = await queue(channel);
    const sent = {
      contentType: 'application/json', contentEncoding: 'gzip', headers: { k: 'v' }, deliveryMode: 2, priority: 7, correlationId: 'c',
      replyTo: 'r', expiration: '60000', messageId: 'm', timestamp: 1709209815, type: 't', userId: 'guest', appId: 'a',
    };
    channel.sendToQueue(own, text(''), sent);
    const { clusterId, ...received } = (await channel.get(own, { noAck: true })).properties;
    equal([received, clusterId], [sent, undefined]);
  },

  async 'header-types'(connection) {
    const channel = await channelOf(connection);
    const own = await queue(channel);
    const typed = {
      int8: -100, uint8: 200, int16: -30000, uint16: 60000, int32: -(2 ** 31), uint32: 2 ** 32 - 1, int64: -(2 ** 50), float: 1.5, double: 0.1,
    };
    const plain = {
      bool: true, string: 'grüße', empty: '', bytes: Buffer.from([0, 255, 254]), none: null,
      array: [1, 'two', [false, null], { three: 3 }], table: { inner: { deep: [Buffer.from([128]), 2 ** 40] }, nothing: {} },
      decimal: { '!': 'decimal', value: { places: 2, digits: 314 } }, time: { '!': 'timestamp', value: 1709209815 },
    };
    const headers = { ...plain };
    for (const [type, value] of Object.entries(typed)) headers[type] = { '!': type, value };
    channel.sendToQueue(own, text(''), { headers });
    equal((await channel.get(own, { noAck: true })).properties.headers, { ...plain, ...typed });
  },

  async 'body-empty'(connection) {
    const channel = await channelOf(connection);
    const own = await queue(channel);
    send(channel, own, 'before', '', 'after');
    equal(await drain(channel, own), ['before', '', 'after']);
  },

  async 'body-large'(connection) {
    const channel = await channelOf(connection);
    const own = await queue(channel);
    const large = Buffer.from(Uint8Array.from({ length: 5 * 1024 * 1024 + 1 }, (_, i) => i % 251));
    send(channel, own, large, large);
    equal((await channel.get(own, { noAck: true })).content.equals(large), true);
    equal((await (await consume(channel, own, { noAck: true })).next()).content.equals(large), true);
  },
};
