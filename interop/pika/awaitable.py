"""pika's AsyncioConnection with its callbacks turned into futures."""

import asyncio

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

from harness import URL, equal, name


def settle(future, value):
    if not future.done():
        future.set_result(value)


class Connection:
    """An open connection; `closed` tells why it ended."""

    @classmethod
    async def open(cls, url=URL, **parameters):
        self, parameters_of_url = cls(), pika.URLParameters(url)
        for key, value in parameters.items():
            setattr(parameters_of_url, key, value)
        opened = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()
        self.raw = AsyncioConnection(parameters_of_url,
                                     on_open_callback=lambda _: settle(opened, None),
                                     on_open_error_callback=lambda _, error: settle(opened, error),
                                     on_close_callback=lambda _, reason: settle(self.closed, reason))
        if error := await opened:
            raise error
        return self

    async def channel(self):
        opened = asyncio.get_running_loop().create_future()
        self.raw.channel(on_open_callback=lambda channel: settle(opened, channel))
        return Channel(await opened)

    async def close(self):
        if self.raw.is_open:
            self.raw.close()
        return await self.closed


class Channel:
    """An open channel; `closed` tells why it ended, and what waits for an answer then raises that."""

    def __init__(self, raw):
        self.raw = raw
        self.closed = asyncio.get_running_loop().create_future()
        raw.add_on_close_callback(lambda _, reason: settle(self.closed, reason))
        raw.add_callback(lambda _: settle(self._got, None), [pika.spec.Basic.GetEmpty], one_shot=False)

    async def call(self, method, *arguments, **options):
        """Calls a method that the broker answers, and gives the answer."""
        answer = asyncio.get_running_loop().create_future()
        getattr(self.raw, method)(*arguments, callback=lambda frame: settle(answer, frame.method), **options)
        return await self._answered(answer)

    async def get(self, queue, auto_ack=False):
        """The next message as (method, properties, body), or nothing."""
        self._got = asyncio.get_running_loop().create_future()
        self.raw.basic_get(queue, lambda _, *message: settle(self._got, message), auto_ack=auto_ack)
        return await self._answered(self._got)

    async def _answered(self, answer):
        await asyncio.wait({answer, self.closed}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise self.closed.result()
        return answer.result()

    def publish(self, exchange, key, body, mandatory=False, **properties):
        self.raw.basic_publish(exchange, key, body, pika.BasicProperties(**properties), mandatory)

    def send(self, queue, *bodies):
        for body in bodies:
            self.publish("", queue, body)

    async def confirming(self):
        """Turns confirms on; gives the queue in which their methods arrive."""
        arrived = asyncio.Queue()
        answer = asyncio.get_running_loop().create_future()
        self.raw.confirm_delivery(lambda frame: arrived.put_nowait(frame.method), callback=lambda frame: settle(answer, frame))
        await self._answered(answer)
        return arrived

    async def consume(self, queue, **options):
        """Gives the queue in which the deliveries arrive, as (method, properties, body)."""
        deliveries = asyncio.Queue()
        answer = asyncio.get_running_loop().create_future()
        self.raw.basic_consume(queue, lambda _, *delivery: deliveries.put_nowait(delivery),
                               callback=lambda frame: settle(answer, frame), **options)
        await self._answered(answer)
        return deliveries

    async def queue(self, **arguments):
        return (await self.call("queue_declare", name("queue"), exclusive=True, arguments=arguments)).queue

    async def exchange(self, kind, **arguments):
        declared = name(kind)
        await self.call("exchange_declare", declared, kind, auto_delete=True, arguments=arguments)
        return declared

    async def bound(self, exchange, *keys, arguments=None):
        bound_queue = await self.queue()
        for key in keys:
            await self.call("queue_bind", bound_queue, exchange, key, arguments=arguments)
        return bound_queue

    async def drain(self, queue):
        bodies = []
        while message := await self.get(queue, auto_ack=True):
            bodies.append(message[2].decode())
        return bodies

    async def count(self, queue):
        """Ready messages and consumers."""
        counted = await self.call("queue_declare", queue, passive=True)
        return counted.message_count, counted.consumer_count


async def closes_channel(connection, code, text, provoke):
    """What is provoked must be answered by the close of its channel; the connection must go on."""
    channel = await connection.channel()
    closed, _ = await asyncio.gather(channel.closed, provoke(channel), return_exceptions=True)
    equal((closed.reply_code, closed.reply_text), (code, text))
    after = await connection.channel()
    own = await after.queue()
    after.send(own, b"after")
    equal(await after.drain(own), ["after"])


async def confirmed(confirms, first, last):
    """Waits until these tags are confirmed; gives those that were acked."""
    acked, outstanding = [], set(range(first, last + 1))
    while outstanding:
        method = await confirms.get()
        tags = {tag for tag in outstanding if tag == method.delivery_tag or method.multiple and tag < method.delivery_tag}
        if not tags:
            raise AssertionError(f"{method.delivery_tag} was confirmed twice")
        outstanding -= tags
        if isinstance(method, pika.spec.Basic.Ack):
            acked += tags
    return acked
