"""The scenarios with pika's AsyncioConnection."""

import asyncio

import pika
from pika.exceptions import AMQPConnectionError

from awaitable import Connection, closes_channel, confirmed
from harness import HEADERS, LARGE, SECONDS, URL, equal, name, report, scenario
from proxy import Proxy


@scenario
async def connect(connection):
    server = connection.raw.server_properties
    equal((bool(server["product"]), bool(server["version"])), (True, True))
    for announced in ("publisher_confirms", "consumer_cancel_notify", "basic.nack", "exchange_exchange_bindings",
                      "authentication_failure_close"):
        equal((announced, server["capabilities"].get(announced)), (announced, True))
    equal((connection.raw.params.channel_max > 0, connection.raw.params.frame_max > 0), (True, True))
    channel = await connection.channel()
    channel.raw.close()
    equal((await channel.closed).reply_code, 0)
    equal((await connection.close()).reply_code, 200)


@scenario
async def access_refused(_):
    try:
        await Connection.open(credentials=pika.PlainCredentials("guest", "wrong"))
    except AMQPConnectionError as refused:
        text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile."
        equal(str(refused), f"ConnectionClosedByBroker: (403) {text!r}")
    else:
        raise AssertionError("a wrong password was let in")


@scenario
async def queue_lifecycle(connection):
    channel = await connection.channel()
    confirms = await channel.confirming()
    named = (await channel.call("queue_declare", "", exclusive=True)).queue
    equal(named[:8], "amq.gen-")
    channel.send(named, b"1", b"2", b"3")
    await confirmed(confirms, 1, 3)
    equal(await channel.count(named), (3, 0))
    equal((await channel.call("queue_purge", named)).message_count, 3)
    channel.send(named, b"4", b"5")
    await confirmed(confirms, 4, 5)
    equal((await channel.call("queue_delete", named)).message_count, 2)


@scenario
async def direct(connection):
    channel = await connection.channel()
    colours = await channel.exchange("direct")
    one, both = await channel.bound(colours, "red"), await channel.bound(colours, "red", "blue")
    for colour in ("red", "blue", "green"):
        channel.publish(colours, colour, colour)
    equal((await channel.drain(one), await channel.drain(both)), (["red"], ["red", "blue"]))
    await channel.call("queue_unbind", both, colours, "blue")
    channel.publish(colours, "blue", "late")
    equal((await channel.drain(one), await channel.drain(both)), ([], []))


@scenario
async def fanout(connection):
    channel = await connection.channel()
    news = await channel.exchange("fanout")
    queues = [await channel.bound(news, ""), await channel.bound(news, "ignored")]
    channel.publish(news, "any", "first")
    channel.publish(news, "", "second")
    equal([await channel.drain(each) for each in queues], [["first", "second"]] * 2)


@scenario
async def topic(connection):
    channel = await connection.channel()
    animals = await channel.exchange("topic")
    sent = ["quick.orange.rabbit", "lazy.orange.elephant", "quick.brown.fox", "lazy", "lazy.pink.rabbit", ""]
    wanted = {"*.orange.*": sent[0:2], "*.*.rabbit": [sent[0], sent[4]], "lazy.#": [sent[1], sent[3], sent[4]], "#": sent}
    queues = {pattern: await channel.bound(animals, pattern) for pattern in wanted}
    for key in sent:
        channel.publish(animals, key, key)
    equal({pattern: await channel.drain(queues[pattern]) for pattern in wanted}, wanted)


@scenario
async def headers(connection):
    channel = await connection.channel()
    documents = await channel.exchange("headers")
    match = {"format": "pdf", "type": "report"}
    every = await channel.bound(documents, "", arguments={"x-match": "all", **match})
    some = await channel.bound(documents, "", arguments={"x-match": "any", **match})
    for body, sent in (("both", match), ("one", {"format": "pdf", "type": "log"}), ("none", {"format": "zip"})):
        channel.publish(documents, "", body, headers=sent)
    equal((await channel.drain(every), await channel.drain(some)), (["both"], ["both", "one"]))


@scenario
async def exchange_to_exchange(connection):
    channel = await connection.channel()
    source, target = await channel.exchange("topic"), await channel.exchange("fanout")
    audited = await channel.bound(target, "")
    await channel.bound(source, "kept.alive")
    await channel.call("exchange_bind", target, source, "audit.#")
    channel.publish(source, "audit.login", "login")
    channel.publish(source, "other", "other")
    equal(await channel.drain(audited), ["login"])
    await channel.call("exchange_unbind", target, source, "audit.#")
    channel.publish(source, "audit.login", "late")
    equal(await channel.drain(audited), [])


@scenario
async def alternate_exchange(connection):
    channel, returned = await connection.channel(), []
    channel.raw.add_on_return_callback(lambda *message: returned.append(message))
    rest = await channel.exchange("fanout")
    main = await channel.exchange("direct", **{"alternate-exchange": rest})
    known, unrouted = await channel.bound(main, "known"), await channel.bound(rest, "")
    confirms = await channel.confirming()
    channel.publish(main, "known", "known", mandatory=True)
    channel.publish(main, "unknown", "unknown", mandatory=True)
    equal(sorted(await confirmed(confirms, 1, 2)), [1, 2])
    equal((await channel.drain(known), await channel.drain(unrouted), returned), (["known"], ["unknown"], []))


@scenario
async def mandatory_return(connection):
    channel, returned = await connection.channel(), []
    channel.raw.add_on_return_callback(lambda _, *message: returned.append(message))
    confirms, own = await channel.confirming(), await channel.queue()
    channel.publish("amq.direct", "nowhere", "lost", mandatory=True, message_id="m-1")
    equal(await confirmed(confirms, 1, 1), [1])
    [(method, properties, body)] = returned
    equal((method.reply_code, method.reply_text, method.exchange, method.routing_key), (312, "NO_ROUTE", "amq.direct", "nowhere"))
    equal((properties.message_id, body), ("m-1", b"lost"))
    channel.publish("", own, "found", mandatory=True)
    equal(await confirmed(confirms, 2, 2), [2])
    equal((await channel.drain(own), len(returned)), (["found"], 1))


@scenario
async def confirm(connection):
    channel = await connection.channel()
    confirms, own = await channel.confirming(), await channel.queue()
    channel.send(own, b"sure")
    equal(await confirmed(confirms, 1, 1), [1])
    equal(await channel.count(own), (1, 0))


@scenario
async def confirm_many(connection):
    channel = await connection.channel()
    confirms, own = await channel.confirming(), await channel.queue()
    wanted = [str(number) for number in range(1000)]
    channel.send(own, *wanted)
    equal(sorted(await confirmed(confirms, 1, 1000)), list(range(1, 1001)))
    equal(await channel.count(own), (1000, 0))
    equal(await channel.drain(own), wanted)


@scenario
async def confirm_nack(connection):
    channel = await connection.channel()
    confirms, full = await channel.confirming(), await channel.queue(**{"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.send(full, b"fits")
    channel.send(full, b"too many")
    equal(await confirmed(confirms, 1, 2), [1])
    equal(await channel.drain(full), ["fits"])


@scenario
async def prefetch(connection):
    channel = await connection.channel()
    own, wanted, seen = await channel.queue(), [str(number) for number in range(10)], []
    channel.send(own, *wanted)
    await channel.call("basic_qos", prefetch_count=3)
    deliveries = await channel.consume(own)
    while len(seen) < 10:
        for _ in range(min(3, 10 - len(seen))):
            method, _, body = await deliveries.get()
            seen.append(body.decode())
        equal((await channel.count(own), deliveries.qsize()), ((10 - len(seen), 1), 0))
        channel.raw.basic_ack(method.delivery_tag, multiple=True)
    equal(seen, wanted)


@scenario
async def requeue(connection):
    channel = await connection.channel()
    own = await channel.queue()

    async def see(*wanted):
        method, _, body = await channel.get(own)
        equal((body.decode(), method.redelivered), wanted)
        return method.delivery_tag

    for settle in (channel.raw.basic_nack, channel.raw.basic_reject):
        channel.send(own, b"again")
        settle(await see("again", False), requeue=True)
        settle(await see("again", True), requeue=False)
        equal(await channel.drain(own), [])
    channel.send(own, b"first", b"second")
    await see("first", False)
    channel.raw.basic_nack(await see("second", False), multiple=True, requeue=True)
    await see("first", True)
    await see("second", True)


@scenario
async def dead_letter(connection):
    channel = await connection.channel()
    graveyard = await channel.exchange("fanout")
    dead = await channel.consume(await channel.bound(graveyard, ""), auto_ack=True)
    own = await channel.queue(**{"x-dead-letter-exchange": graveyard})

    async def died(*wanted):
        _, properties, body = await dead.get()
        death = properties.headers["x-death"][0]
        equal((body, death["queue"], death["reason"], death["count"]), wanted)

    channel.send(own, b"refused")
    channel.raw.basic_reject((await channel.get(own))[0].delivery_tag, requeue=False)
    await died(b"refused", own, "rejected", 1)
    channel.publish("", own, b"old", expiration="1")
    await died(b"old", own, "expired", 1)


@scenario
async def get(connection):
    channel = await connection.channel()
    own = await channel.queue()
    equal(await channel.get(own), None)
    channel.send(own, b"first", b"second")
    method, _, body = await channel.get(own, auto_ack=True)
    equal((method.routing_key, method.message_count, method.redelivered, body), (own, 1, False, b"first"))
    equal(await channel.drain(own), ["second"])


@scenario
async def cancel(connection):
    channel = await connection.channel()
    confirms, own = await channel.confirming(), await channel.queue()
    channel.send(own, b"seen")
    deliveries = await channel.consume(own, consumer_tag="mine")
    channel.raw.basic_ack((await deliveries.get())[0].delivery_tag)
    equal(await channel.count(own), (0, 1))
    equal((await channel.call("basic_cancel", "mine")).consumer_tag, "mine")
    equal(await confirmed(confirms, 1, 1), [1])
    channel.send(own, b"kept")
    equal(await confirmed(confirms, 2, 2), [2])
    equal((await channel.count(own), deliveries.qsize()), ((1, 0), 0))


@scenario
async def cancel_notify(connection):
    channel, told = await connection.channel(), asyncio.Queue()
    channel.raw.add_on_cancel_callback(lambda frame: told.put_nowait(frame.method.consumer_tag))
    own = await channel.queue()
    await channel.consume(own, consumer_tag="told")
    await channel.call("queue_delete", own)
    equal(await told.get(), "told")
    equal(await channel.count(await channel.queue()), (0, 0))


@scenario
async def tx(connection):
    channel, other = await connection.channel(), await connection.channel()
    own = await channel.queue()
    await channel.call("tx_select")
    channel.send(own, b"committed")
    equal(await other.count(own), (0, 0))
    await channel.call("tx_commit")
    equal(await other.count(own), (1, 0))
    channel.send(own, b"rolled back")
    await channel.call("tx_rollback")
    await channel.call("tx_commit")
    equal(await other.count(own), (1, 0))
    method, _, _ = await channel.get(own)
    channel.raw.basic_ack(method.delivery_tag)
    await channel.call("tx_rollback")
    channel.raw.basic_nack(method.delivery_tag, requeue=True)
    await channel.call("tx_commit")
    equal(await other.drain(own), ["committed"])


@scenario
async def direct_reply_to(connection):
    server, client = await connection.channel(), await connection.channel()
    requests = await server.queue()
    replies = await client.consume("amq.rabbitmq.reply-to", auto_ack=True)
    client.publish("", requests, "6*7", reply_to="amq.rabbitmq.reply-to", correlation_id="c-7")
    _, request, _ = await (await server.consume(requests, auto_ack=True)).get()
    equal(request.reply_to[:22], "amq.rabbitmq.reply-to.")
    server.publish("", request.reply_to, "42", correlation_id=request.correlation_id)
    _, reply, body = await replies.get()
    equal((reply.correlation_id, body), ("c-7", b"42"))


@scenario
async def properties(connection):
    channel = await connection.channel()
    own = await channel.queue()
    sent = dict(content_type="application/json", content_encoding="gzip", headers={"k": "v"}, delivery_mode=2, priority=7,
                correlation_id="c", reply_to="r", expiration="60000", message_id="m", timestamp=1709209815, type="t",
                user_id="guest", app_id="a", cluster_id="x")
    channel.publish("", own, "", **sent)
    equal((await channel.get(own, auto_ack=True))[1].__dict__, sent)


@scenario
async def header_types(connection):
    channel = await connection.channel()
    own = await channel.queue()
    channel.publish("", own, "", headers=HEADERS)
    equal((await channel.get(own, auto_ack=True))[1].headers, HEADERS)


@scenario
async def body_empty(connection):
    channel = await connection.channel()
    own = await channel.queue()
    channel.send(own, b"before", b"", b"after")
    equal(await channel.drain(own), ["before", "", "after"])


@scenario
async def body_large(connection):
    channel = await connection.channel()
    own = await channel.queue()
    channel.send(own, LARGE, LARGE)
    equal((await channel.get(own, auto_ack=True))[2] == LARGE, True)
    equal((await (await channel.consume(own, auto_ack=True)).get())[2] == LARGE, True)


@scenario
async def error_403(connection):
    reserved = f"amq.{name('queue')}"
    await closes_channel(connection, 403, f"ACCESS_REFUSED - queue name '{reserved}' contains reserved prefix 'amq.*'",
                         lambda channel: channel.call("queue_declare", reserved))


@scenario
async def error_404(connection):
    missing = name("missing")
    await closes_channel(connection, 404, f"NOT_FOUND - no queue '{missing}' in vhost '/'",
                         lambda channel: channel.call("queue_declare", missing, passive=True))

    async def publish(channel):
        channel.publish(missing, "", b"lost")
    await closes_channel(connection, 404, f"NOT_FOUND - no exchange '{missing}' in vhost '/'", publish)


@scenario
async def error_405(connection):
    owner = await Connection.open()
    locked = await (await owner.channel()).queue()
    text = (f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{locked}' in vhost '/'. It could be originally "
            "declared on another connection or the exclusive property value does not match that of the original declaration.")
    await closes_channel(connection, 405, text, lambda channel: channel.call("queue_declare", locked, passive=True))
    await owner.close()


@scenario
async def error_406(connection):
    durable = name("durable")
    channel = await connection.channel()
    await channel.call("queue_declare", durable, durable=True)
    text = f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{durable}' in vhost '/': received 'false' but current is 'true'"
    await closes_channel(connection, 406, text, lambda other: other.call("queue_declare", durable))
    await channel.call("queue_delete", durable)

    async def ack(other):
        other.raw.basic_ack(99)
    await closes_channel(connection, 406, "PRECONDITION_FAILED - unknown delivery tag 99", ack)


@scenario
async def error_540(connection):
    channel = await connection.channel()
    channel.raw.basic_recover(requeue=False)
    closed = await connection.closed
    equal((closed.reply_code, closed.reply_text), (540, "NOT_IMPLEMENTED - requeue=false"))
    await (await Connection.open()).close()


@scenario
async def many_channels(connection):
    channels = [await connection.channel() for _ in range(200)]
    queues = await asyncio.gather(*(channel.queue() for channel in channels))
    for number, (channel, own) in enumerate(zip(channels, queues)):
        channel.send(own, str(number))
    drained = await asyncio.gather(*(channel.drain(own) for channel, own in zip(channels, queues)))
    equal(drained, [[str(number)] for number in range(200)])


@scenario
async def heartbeat(_):
    connection = await Connection.open(heartbeat=1)
    await asyncio.sleep(4)
    channel = await connection.channel()
    equal(await channel.count(await channel.queue()), (0, 0))
    await connection.close()


@scenario
async def reconnect(connection):
    proxy, channel, kept = Proxy(URL), await connection.channel(), name("kept")
    await channel.call("queue_declare", kept, durable=True)
    channel.send(kept, *"01234")
    first = await Connection.open(proxy.url)
    through = await first.channel()
    deliveries = await through.consume(kept)
    for number in "01234":
        method, _, body = await deliveries.get()
        equal((body.decode(), method.redelivered), (number, False))
        if number < "2":
            through.raw.basic_ack(method.delivery_tag)
    equal(await through.count(kept), (0, 1))
    proxy.cut()
    equal(isinstance(await first.closed, AMQPConnectionError), True)
    second = await Connection.open(proxy.url)
    again = await second.channel()
    deliveries = await again.consume(kept)
    for number in "234":
        method, _, body = await deliveries.get()
        equal((body.decode(), method.redelivered), (number, True))
        again.raw.basic_ack(method.delivery_tag)
    equal(await again.count(kept), (0, 1))
    await second.close()
    equal((await channel.call("queue_delete", kept)).message_count, 0)


@scenario
async def work_queue(connection):
    orders, hold, billed = 300, 10, asyncio.Queue()
    service, exchange, billing = await connection.channel(), name("orders"), name("billing")
    await service.call("exchange_declare", exchange, "topic", durable=True)
    await service.call("queue_declare", billing, durable=True)
    await service.call("queue_bind", billing, exchange, "order.#")

    async def work(channel, deliveries, die=None):
        for count in range(1, orders + 1):
            method, _, body = await deliveries.get()
            if die and count == hold:
                return die()
            billed.put_nowait((int(body), method.redelivered))
            channel.raw.basic_ack(method.delivery_tag)

    workers = []
    for die in (True, False, False):
        proxy = Proxy(URL)
        own = await Connection.open(proxy.url)
        channel = await own.channel()
        await channel.call("basic_qos", prefetch_count=hold)
        deliveries = await channel.consume(billing)
        workers.append((own, channel, asyncio.create_task(work(channel, deliveries, proxy.cut if die else None))))

    confirms = await service.confirming()
    for number in range(orders):
        service.publish(exchange, f"order.eu.{number}", str(number), mandatory=True, delivery_mode=2)
    equal(len(await confirmed(confirms, 1, orders)), orders)

    seen, again = set(), 0
    while len(seen) < orders:
        number, redelivered = await billed.get()
        seen.add(number)
        again += redelivered
    equal((seen, again > 0), (set(range(orders)), True))
    for own, channel, task in workers[1:]:
        task.cancel()
        equal((await channel.count(billing))[0], 0)
        await own.close()
    equal((await service.call("queue_delete", billing)).message_count, 0)
    await service.call("exchange_delete", exchange)


def run(function):
    async def on_connection():
        connection = await Connection.open()
        await function(connection)
        await connection.close()
    try:
        asyncio.run(asyncio.wait_for(on_connection(), SECONDS))
    except TimeoutError:
        raise TimeoutError(f"not done after {SECONDS} s") from None


if __name__ == "__main__":
    report(run, {"error-530": "refuses a consumer tag in use itself"})
