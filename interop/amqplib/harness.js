// How scenarios are run and reported, and short words for what they do.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import amqp from 'amqplib';

export const url = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672/';
const SECONDS = 20;

export const name = (suffix) => `interop.amqplib.${randomUUID().slice(0, 8)}.${suffix}`;
export const equal = assert.deepEqual;

/** Runs the scenarios named on the command line, or all, and prints a line for each. */
export async function report(scenarios, notExpressible) {
  const only = process.argv.slice(2);
  for (const [scenario, run] of Object.entries(scenarios)) {
    if (only.length && !only.includes(scenario)) continue;
    try {
      await inTime(onConnection(run));
      console.log(`PASS ${scenario}`);
    } catch (error) {
      process.exitCode = 1;
      console.log(`FAIL ${scenario}: ${String(error?.message ?? error).replaceAll(/\s+/g, ' ')}`);
    }
  }
  for (const [scenario, reason] of Object.entries(notExpressible)) console.log(`N/A ${scenario}: ${reason}`);
  process.exit();
}

async function onConnection(run) {
  const connection = await connect();
  let open = true;
  connection.on('close', () => { open = false; });
  await run(connection);
  if (open) await connection.close();
}

async function inTime(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${SECONDS} s`)), SECONDS * 1000);
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A connection whose errors are left to those who wait for them. */
export async function connect(address = url, options) {
  const connection = await amqp.connect(address, options);
  connection.on('error', () => {});
  return connection;
}

export async function channelOf(connection, create = 'createChannel') {
  const channel = await connection[create]();
  channel.on('error', () => {});
  return channel;
}

export const confirming = (connection) => channelOf(connection, 'createConfirmChannel');

export async function exchange(channel, kind, options) {
  return (await channel.assertExchange(name(kind), kind, { durable: false, autoDelete: true, ...options })).exchange;
}

export async function queue(channel, options) {
  return (await channel.assertQueue(name('queue'), { durable: false, exclusive: true, ...options })).queue;
}

export async function bound(channel, source, keys, headers) {
  const target = await queue(channel);
  for (const key of keys) await channel.bindQueue(target, source, key, headers);
  return target;
}

export function send(channel, target, ...bodies) {
  for (const body of bodies) channel.sendToQueue(target, Buffer.from(body));
}

export async function drain(channel, source) {
  const bodies = [];
  for (let got = await channel.get(source, { noAck: true }); got; got = await channel.get(source, { noAck: true })) {
    bodies.push(got.content.toString());
  }
  return bodies;
}

/** Ready messages and consumers. */
export async function ready(channel, counted) {
  const { messageCount, consumerCount } = await channel.checkQueue(counted);
  return [messageCount, consumerCount];
}

/** What arrives at a callback, in order, for those who await it. */
export class Inbox {
  arrived = [];
  #waiting = [];

  put = (item) => {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.arrived.push(item);
  };

  next() {
    return this.arrived.length ? Promise.resolve(this.arrived.shift()) : new Promise((resolve) => this.#waiting.push(resolve));
  }
}

export async function consume(channel, source, options) {
  const inbox = new Inbox();
  const { consumerTag } = await channel.consume(source, inbox.put, options);
  return Object.assign(inbox, { consumerTag });
}

/** What the provocation makes the broker close the channel or connection with. */
export async function closedBy(closing, provocation) {
  const closed = once(closing, 'error');
  await Promise.resolve(provocation()).catch(() => {});
  const [error] = await closed;
  return error;
}

/** A TCP proxy to the broker; cut() drops every connection made so far without a word of AMQP. */
export async function proxy() {
  const broker = new URL(url);
  const sockets = [];
  const server = net.createServer((client) => {
    const onward = net.connect(Number(broker.port || 5672), broker.hostname);
    for (const socket of [client, onward]) socket.on('error', () => {});
    sockets.push(client, onward);
    client.pipe(onward).pipe(client);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  server.unref();
  const address = new URL(url);
  address.host = `127.0.0.1:${server.address().port}`;
  return { url: address.href, cut: () => sockets.splice(0).forEach((socket) => socket.destroy()) };
}
