// Consuming, errors, and the life of connections.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  bound, channelOf, closedBy, confirming, connect, consume, drain, equal, exchange, name, proxy, queue, ready, send, url, Inbox,
} from './harness.js';

const seen = (message) => [message.content.toString(), message.fields.redelivered];

/** The provocation must close its channel so, and the connection must go on. */
async function closesChannel(connection, code, text, provoke) {
  const channel = await channelOf(connection);
  const error = await closedBy(channel, () => provoke(channel));
  equal([error.code, error.message.includes(`"${text}"`) ? text : error.message], [code, text]);
  const next = await channelOf(connection);
  const own = await queue(next);
  send(next, own, 'after');
  equal(await drain(next, own), ['after']);
}

export const connections = {
  async connect(connection) {
    const { product, version, capabilities } = connection.connection.serverProperties;
    equal([Boolean(product), Boolean(version)], [true, true]);
    for (const announced of [
      'publisher_confirms', 'consumer_cancel_notify', 'basic.nack', 'exchange_exchange_bindings', 'authentication_failure_close',
    ]) equal([announced, capabilities[announced]], [announced, true]);
    await (await channelOf(connection)).close();
    await connection.close();
  },

  async 'access-refused'() {
    const wrong = new URL(url);
    wrong.password = 'wrong';
    const refusal = await connect(wrong.href).then(() => 'let in', (error) => error.message);
    const text = 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.';
    equal(refusal.includes(`403 (ACCESS-REFUSED) with message "${text}"`) ? text : refusal, text);
  },

  async prefetch(connection) {
    const channel = await channelOf(connection);
    const own = await queue(channel);
    const wanted = [...'0123456789'];
    send(channel, own, ...wanted);
    await channel.prefetch(3);
    const deliveries = await consume(channel, own);
    const got = [];
    while (got.length < 10) {
      let last;
      for (let i = Math.min(3, 10 - got.length); i > 0; i--) {
        last = await deliveries.next();
        got.push(last.content.toString());
      }
      equal([await ready(channel, own), deliveries.arrived], [[10 - got.length, 1], []]);
      channel.ack(last, true);
    }
    equal(got, wanted);
  },

  async requeue(connection) {
    const channel = await channelOf(connection);
    const own = await queue(channel);
    const see = async (body, redelivered) => {
      const message = await channel.get(own);
      equal(seen(message), [body, redelivered]);
      return message;
    };
    const settles = [(message, again) => channel.nack(message, false, again), (message, again) => channel.reject(message, again)];
    for (const settle of settles) {
      send(channel, own, 'again');
      settle(await see('again', false), true);
      settle(await see('again', true), false);
      equal(await drain(channel, own), []);
    }
    send(channel, own, 'first', 'second');
    await see('first', false);
    channel.nack(await see('second', false), true, true);
    await see('first', true);
    await see('second', true);
  },

  async 'dead-letter'(connection) {
    const channel = await channelOf(connection);
    const graveyard = await exchange(channel, 'fanout');
    const dead = await consume(channel, await bound(channel, graveyard, ['']), { noAck: true });
    const own = await queue(channel, { deadLetterExchange: graveyard });
    const died = async () => {
      const { content, properties } = await dead.next();
      const [{ queue, reason, count }] = properties.headers['x-death'];
      return [content.toString(), queue, reason, count];
    };
    send(channel, own, 'refused');
    channel.reject(await channel.get(own), false);
    equal(await died(), ['refused', own, 'rejected', 1]);
    channel.sendToQueue(own, Buffer.from('old'), { expiration: 1 });
    equal(await died(), ['old', own, 'expired', 1]);
  },

  async get(connection) {
    const channel = await channelOf(connection);
    const own = await queue(channel);
    equal(await channel.get(own), false);
    send(channel, own, 'first', 'second');
    const first = await channel.get(own, { noAck: true });
    equal([first.fields.routingKey, first.fields.messageCount, ...seen(first)], [own, 1, 'first', false]);
    equal(await drain(channel, own), ['second']);
  },

  async cancel(connection) {
    const channel = await confirming(connection);
    const own = await queue(channel);
    send(channel, own, 'seen');
    const deliveries = await consume(channel, own);
    channel.ack(await deliveries.next());
    equal(await ready(channel, own), [0, 1]);
    await channel.cancel(deliveries.consumerTag);
    send(channel, own, 'kept');
    await channel.waitForConfirms();
    equal([await ready(channel, own), deliveries.arrived], [[1, 0], []]);
  },

  async 'cancel-notify'(connection) {
    const channel = await channelOf(connection);
    const own = await queue(channel);
    const deliveries = await consume(channel, own);
    await channel.deleteQueue(own);
    equal(await deliveries.next(), null);
    equal(await ready(channel, await queue(channel)), [0, 0]);
  },

  async 'error-403'(connection) {
    const reserved = `amq.${name('queue')}`;
    await closesChannel(connection, 403, `ACCESS_REFUSED - queue name '${reserved}' contains reserved prefix 'amq.*'`,
      (channel) => channel.assertQueue(reserved));
  },

  async 'error-404'(connection) {
    const missing = name('missing');
    await closesChannel(connection, 404, `NOT_FOUND - no queue '${missing}' in vhost '/'`, (channel) => channel.checkQueue(missing));
    await closesChannel(connection, 404, `NOT_FOUND - no exchange '${missing}' in vhost '/'`,
      (channel) => channel.publish(missing, '', Buffer.alloc(0)));
  },

  async 'error-405'(connection) {
    const owner = await connect();
    const locked = await queue(await channelOf(owner));
    await closesChannel(connection, 405, `RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${locked}' in vhost '/'. It could `
      + 'be originally declared on another connection or the exclusive property value does not match that of the original declaration.',
    (channel) => channel.checkQueue(locked));
    await owner.close();
  },

  async 'error-406'(connection) {
    const durable = name('durable');
    const channel = await channelOf(connection);
    await channel.assertQueue(durable, { durable: true });
    await closesChannel(connection, 406, `PRECONDITION_FAILED - inequivalent arg 'durable' for queue '${durable}' in vhost '/': `
      + "received 'false' but current is 'true'", (other) => other.assertQueue(durable, { durable: false }));
    await channel.deleteQueue(durable);
    await closesChannel(connection, 406, 'PRECONDITION_FAILED - unknown delivery tag 99',
      (other) => other.ack({ fields: { deliveryTag: 99 } }));
  },

  async 'error-530'(connection) {
    const channel = await channelOf(connection);
    const own = await queue(channel);
    await channel.consume(own, () => {}, { consumerTag: 'twice' });
    const error = await closedBy(connection, () => channel.consume(own, () => {}, { consumerTag: 'twice' }));
    equal([error.code, error.message.match(/"(.*)"/)?.[1]], [530, "NOT_ALLOWED - attempt to reuse consumer tag 'twice'"]);
    await (await connect()).close();
  },

  async 'many-channels'(connection) {
    const channels = [];
    for (let i = 0; i < 200; i++) channels.push(await channelOf(connection));
    const queues = await Promise.all(channels.map((channel) => queue(channel)));
    channels.forEach((channel, i) => send(channel, queues[i], String(i)));
    equal(await Promise.all(channels.map((channel, i) => drain(channel, queues[i]))), channels.map((_, i) => [String(i)]));
  },

  async heartbeat() {
    const address = new URL(url);
    address.searchParams.set('heartbeat', '1');
    const connection = await connect(address.href);
    equal(connection.connection.heartbeat, 1);
    await sleep(4000);
    const channel = await channelOf(connection);
    equal(await ready(channel, await queue(channel)), [0, 0]);
    await connection.close();
  },

  async reconnect(connection) {
    const [channel, kept, network] = [await channelOf(connection), name('kept'), await proxy()];
    await channel.assertQueue(kept);
    send(channel, kept, ...'01234');
    const first = await connect(network.url);
    const closed = new Inbox();
    first.on('close', closed.put);
    const through = await channelOf(first);
    let deliveries = await consume(through, kept);
    for (const number of '01234') {
      const message = await deliveries.next();
      equal(seen(message), [number, false]);
      if (number < 2) through.ack(message);
    }
    equal(await ready(through, kept), [0, 1]);
    network.cut();
    await closed.next();
    const again = await connect(network.url);
    const next = await channelOf(again);
    deliveries = await consume(next, kept);
    for (const number of '234') {
      const message = await deliveries.next();
      equal(seen(message), [number, true]);
      next.ack(message);
    }
    await next.close();
    await again.close();
    equal((await channel.deleteQueue(kept)).messageCount, 0);
  },

  async 'work-queue'(connection) {
    const [all, workers, hold] = [300, 3, 10];
    const [orders, billing, billed] = [name('orders'), name('billing'), new Inbox()];
    const service = await confirming(connection);
    await service.assertExchange(orders, 'topic');
    await service.assertQueue(billing);
    await service.bindQueue(billing, orders, 'order.#');

    const others = [];
    for (let worker = 0; worker < workers; worker++) {
      const network = await proxy();
      const own = await connect(network.url);
      const channel = await channelOf(own);
      await channel.prefetch(hold);
      let count = 0;
      await channel.consume(billing, (order) => {
        count += 1;
        if (worker === 0 && count >= hold) return network.cut();
        billed.put(order);
        channel.ack(order);
      });
      if (worker > 0) others.push([channel, own]);
    }

    for (let number = 0; number < all; number++) {
      service.publish(orders, `order.eu.${number}`, Buffer.from(String(number)), { persistent: true, mandatory: true });
    }
    await service.waitForConfirms();

    const numbers = new Set();
    let again = 0;
    while (numbers.size < all) {
      const [number, redelivered] = seen(await billed.next());
      numbers.add(number);
      again += redelivered;
    }
    equal(again > 0, true);
    for (const [channel, own] of others) {
      await channel.close();
      await own.close();
    }
    equal((await service.deleteQueue(billing)).messageCount, 0);
    await service.deleteExchange(orders);
  },
};
