"""The scenarios with pika's BlockingConnection."""

import contextlib
import signal

import pika
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker, ConnectionClosedByBroker, NackError, UnroutableError

import work_queue as orders
from blocking_session import bound, connect, count, drain, exchange, more, queue, send, take
from harness import HEADERS, LARGE, SECONDS, URL, equal, name, report, scenario
from proxy import Proxy


@contextlib.contextmanager
def closes_channel(connection, code, text):
    """The block must be answered by the close of its channel; the connection must go on."""
    try:
        yield
    except ChannelClosedByBroker as closed:
        equal((closed.reply_code, closed.reply_text), (code, text))
    else:
        raise AssertionError(f"no error {code}")
    with connection.channel() as channel:
        own = queue(channel)
        send(channel, own, b"after")
        equal(drain(channel, own), ["after"])


@scenario
def connect_(connection):
    for announced in ("publisher_confirms", "consumer_cancel_notify", "basic_nack", "exchange_exchange_bindings"):
        equal((announced, getattr(connection, f"{announced}_supported")), (announced, True))
    channel = connection.channel()
    channel.close()
    equal(channel.is_closed, True)


@scenario
def access_refused(_):
    try:
        connect(credentials=pika.PlainCredentials("guest", "wrong"))
    except AMQPConnectionError as refused:
        text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile."
        equal(str(refused), f"ConnectionClosedByBroker: (403) {text!r}")
    else:
        raise AssertionError("a wrong password was let in")


@scenario
def queue_lifecycle(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    named = channel.queue_declare("", exclusive=True).method.queue
    equal(named[:8], "amq.gen-")
    send(channel, named, b"1", b"2", b"3")
    equal(count(channel, named), (3, 0))
    equal(channel.queue_purge(named).method.message_count, 3)
    send(channel, named, b"4", b"5")
    equal(channel.queue_delete(named).method.message_count, 2)


@scenario
def direct(connection):
    channel = connection.channel()
    colours = exchange(channel, "direct")
    one, both = bound(channel, colours, "red"), bound(channel, colours, "red", "blue")
    for colour in ("red", "blue", "green"):
        channel.basic_publish(colours, colour, colour)
    equal((drain(channel, one), drain(channel, both)), (["red"], ["red", "blue"]))
    channel.queue_unbind(both, colours, "blue")
    channel.basic_publish(colours, "blue", "blue")
    equal((drain(channel, one), drain(channel, both)), ([], []))


@scenario
def fanout(connection):
    channel = connection.channel()
    news = exchange(channel, "fanout")
    queues = [bound(channel, news, ""), bound(channel, news, "ignored")]
    channel.basic_publish(news, "any", "first")
    channel.basic_publish(news, "", "second")
    equal([drain(channel, each) for each in queues], [["first", "second"]] * 2)


@scenario
def topic(connection):
    channel = connection.channel()
    animals = exchange(channel, "topic")
    sent = ["quick.orange.rabbit", "lazy.orange.elephant", "quick.brown.fox", "lazy", "lazy.pink.rabbit", ""]
    wanted = {"*.orange.*": sent[0:2], "*.*.rabbit": [sent[0], sent[4]], "lazy.#": [sent[1], sent[3], sent[4]], "#": sent}
    queues = {pattern: bound(channel, animals, pattern) for pattern in wanted}
    for key in sent:
        channel.basic_publish(animals, key, key)
    equal({pattern: drain(channel, queues[pattern]) for pattern in wanted}, wanted)


@scenario
def headers(connection):
    channel = connection.channel()
    documents = exchange(channel, "headers")
    match = {"format": "pdf", "type": "report"}
    every = bound(channel, documents, "", arguments={"x-match": "all", **match})
    some = bound(channel, documents, "", arguments={"x-match": "any", **match})
    for body, sent in (("both", match), ("one", {"format": "pdf", "type": "log"}), ("none", {"format": "zip"})):
        channel.basic_publish(documents, "", body, pika.BasicProperties(headers=sent))
    equal((drain(channel, every), drain(channel, some)), (["both"], ["both", "one"]))


@scenario
def exchange_to_exchange(connection):
    channel = connection.channel()
    source, target = exchange(channel, "topic"), exchange(channel, "fanout")
    audited = bound(channel, target, "")
    bound(channel, source, "kept.alive")
    channel.exchange_bind(target, source, "audit.#")
    channel.basic_publish(source, "audit.login", "login")
    channel.basic_publish(source, "other", "other")
    equal(drain(channel, audited), ["login"])
    channel.exchange_unbind(target, source, "audit.#")
    channel.basic_publish(source, "audit.login", "late")
    equal(drain(channel, audited), [])


@scenario
def alternate_exchange(connection):
    channel = connection.channel()
    rest = exchange(channel, "fanout")
    main = exchange(channel, "direct", **{"alternate-exchange": rest})
    known, unrouted = bound(channel, main, "known"), bound(channel, rest, "")
    channel.confirm_delivery()
    channel.basic_publish(main, "known", "known", mandatory=True)
    channel.basic_publish(main, "unknown", "unknown", mandatory=True)
    equal((drain(channel, known), drain(channel, unrouted)), (["known"], ["unknown"]))


@scenario
def mandatory_return(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish("amq.direct", "nowhere", "lost", pika.BasicProperties(message_id="m-1"), mandatory=True)
    except UnroutableError as unroutable:
        [message] = unroutable.messages
        method = message.method
        equal((method.reply_code, method.reply_text, method.exchange, method.routing_key), (312, "NO_ROUTE", "amq.direct", "nowhere"))
        equal((message.properties.message_id, message.body), ("m-1", b"lost"))
    else:
        raise AssertionError("an unroutable message was not returned")
    own = queue(channel)
    channel.basic_publish("", own, "found", mandatory=True)
    equal(drain(channel, own), ["found"])


@scenario
def confirm(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    own = queue(channel)
    send(channel, own, b"sure")
    equal(count(channel, own), (1, 0))


@scenario
def confirm_nack(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    full = queue(channel, **{"x-max-length": 1, "x-overflow": "reject-publish"})
    send(channel, full, b"fits")
    try:
        send(channel, full, b"too many")
    except NackError:
        equal(drain(channel, full), ["fits"])
    else:
        raise AssertionError("the second publish was not nacked")


@scenario
def prefetch(connection):
    channel = connection.channel()
    own = queue(channel)
    send(channel, own, *(str(number) for number in range(10)))
    channel.basic_qos(prefetch_count=3)
    deliveries = take(channel, own, 3)
    equal((count(channel, own), len(deliveries)), ((7, 1), 3))
    while len(deliveries) < 10:
        batch = len(deliveries)
        channel.basic_ack(deliveries[-1][0].delivery_tag, multiple=True)
        more(channel, deliveries, min(batch + 3, 10))
        equal((count(channel, own), len(deliveries)), ((10 - len(deliveries), 1), min(batch + 3, 10)))
    equal([body.decode() for _, _, body in deliveries], [str(number) for number in range(10)])


@scenario
def requeue(connection):
    channel = connection.channel()
    own = queue(channel)

    def get():
        method, _, body = channel.basic_get(own)
        return method.delivery_tag, method.redelivered, body.decode()

    for settle in (channel.basic_nack, channel.basic_reject):
        send(channel, own, b"again")
        tag, *seen = get()
        equal(seen, [False, "again"])
        settle(tag, requeue=True)
        tag, *seen = get()
        equal(seen, [True, "again"])
        settle(tag, requeue=False)
        equal(count(channel, own), (0, 0))
    send(channel, own, b"first", b"second")
    get()
    channel.basic_nack(get()[0], multiple=True, requeue=True)
    equal([get()[1:], get()[1:]], [(True, "first"), (True, "second")])


@scenario
def dead_letter(connection):
    channel = connection.channel()
    graveyard = exchange(channel, "fanout")
    dead = bound(channel, graveyard, "")
    own = queue(channel, **{"x-dead-letter-exchange": graveyard})
    send(channel, own, b"refused")
    method, _, _ = channel.basic_get(own)
    channel.basic_reject(method.delivery_tag, requeue=False)
    deliveries = take(channel, dead, 1, auto_ack=True)
    channel.basic_publish("", own, b"old", pika.BasicProperties(expiration="1"))
    more(channel, deliveries, 2)
    deaths = [(body, *properties.headers["x-death"]) for _, properties, body in deliveries]
    equal([(body, death["queue"], death["reason"], death["count"]) for body, death in deaths],
          [(b"refused", own, "rejected", 1), (b"old", own, "expired", 1)])


@scenario
def get(connection):
    channel = connection.channel()
    own = queue(channel)
    equal(channel.basic_get(own), (None, None, None))
    send(channel, own, b"first", b"second")
    method, _, body = channel.basic_get(own, auto_ack=True)
    equal((method.routing_key, method.message_count, method.redelivered, body), (own, 1, False, b"first"))
    equal(drain(channel, own), ["second"])


@scenario
def cancel(connection):
    channel = connection.channel()
    own = queue(channel)
    send(channel, own, b"seen")
    [(method, _, _)] = take(channel, own, 1)
    channel.basic_ack(method.delivery_tag)
    equal(count(channel, own), (0, 1))
    channel.basic_cancel(method.consumer_tag)
    channel.confirm_delivery()
    send(channel, own, b"kept")
    equal(count(channel, own), (1, 0))


@scenario
def cancel_notify(connection):
    channel = connection.channel()
    own, told = queue(channel), []
    channel.add_on_cancel_callback(lambda frame: told.append(frame.method.consumer_tag))
    tag = channel.basic_consume(own, lambda *_: None)
    channel.queue_delete(own)
    more(channel, told, 1)
    equal(told, [tag])
    equal(count(channel, queue(channel)), (0, 0))


@scenario
def tx(connection):
    channel, other = connection.channel(), connection.channel()
    own = queue(channel)
    channel.tx_select()
    send(channel, own, b"committed")
    equal(count(other, own), (0, 0))
    channel.tx_commit()
    equal(count(other, own), (1, 0))
    send(channel, own, b"rolled back")
    channel.tx_rollback()
    channel.tx_commit()
    equal(count(other, own), (1, 0))
    method, _, _ = channel.basic_get(own)
    channel.basic_ack(method.delivery_tag)
    channel.tx_rollback()
    channel.basic_nack(method.delivery_tag, requeue=True)
    channel.tx_commit()
    equal(drain(other, own), ["committed"])


@scenario
def direct_reply_to(connection):
    server, client = connection.channel(), connection.channel()
    requests, replies = queue(server), []
    client.basic_consume("amq.rabbitmq.reply-to", lambda _, *reply: replies.append(reply), auto_ack=True)
    asked = pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="c-7")
    client.basic_publish("", requests, "6*7", asked)
    [(_, request, _)] = take(server, requests, 1, auto_ack=True)
    equal(request.reply_to[:22], "amq.rabbitmq.reply-to.")
    server.basic_publish("", request.reply_to, "42", pika.BasicProperties(correlation_id=request.correlation_id))
    more(client, replies, 1)
    equal([(reply.correlation_id, body) for _, reply, body in replies], [("c-7", b"42")])


@scenario
def properties(connection):
    channel = connection.channel()
    own = queue(channel)
    sent = pika.BasicProperties(content_type="application/json", content_encoding="gzip", headers={"k": "v"}, delivery_mode=2,
                                priority=7, correlation_id="c", reply_to="r", expiration="60000", message_id="m",
                                timestamp=1709209815, type="t", user_id="guest", app_id="a", cluster_id="x")
    channel.basic_publish("", own, "", sent)
    equal(channel.basic_get(own, auto_ack=True)[1].__dict__, sent.__dict__)


@scenario
def header_types(connection):
    channel = connection.channel()
    own = queue(channel)
    channel.basic_publish("", own, "", pika.BasicProperties(headers=HEADERS))
    received = channel.basic_get(own, auto_ack=True)[1].headers
    equal(received, HEADERS)
    equal({key: type(value) for key, value in received.items()} | {"long": int}, {key: type(value) for key, value in HEADERS.items()})


@scenario
def body_empty(connection):
    channel = connection.channel()
    own = queue(channel)
    send(channel, own, b"before", b"", b"after")
    equal(drain(channel, own), ["before", "", "after"])


@scenario
def body_large(connection):
    channel = connection.channel()
    own = queue(channel)
    send(channel, own, LARGE, LARGE)
    equal(channel.basic_get(own, auto_ack=True)[2] == LARGE, True)
    [(_, _, body)] = take(channel, own, 1, auto_ack=True)
    equal(body == LARGE, True)


@scenario
def error_403(connection):
    reserved = f"amq.{name('queue')}"
    with closes_channel(connection, 403, f"ACCESS_REFUSED - queue name '{reserved}' contains reserved prefix 'amq.*'"):
        connection.channel().queue_declare(reserved)


@scenario
def error_404(connection):
    missing = name("missing")
    with closes_channel(connection, 404, f"NOT_FOUND - no queue '{missing}' in vhost '/'"):
        connection.channel().queue_declare(missing, passive=True)
    with closes_channel(connection, 404, f"NOT_FOUND - no exchange '{missing}' in vhost '/'"):
        channel = connection.channel()
        channel.basic_publish(missing, "", b"")
        connection.process_data_events(time_limit=SECONDS)
        queue(channel)


@scenario
def error_405(connection):
    with connect() as owner:
        locked = queue(owner.channel())
        text = (f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{locked}' in vhost '/'. It could be originally "
                "declared on another connection or the exclusive property value does not match that of the original declaration.")
        with closes_channel(connection, 405, text):
            connection.channel().queue_declare(locked, passive=True)


@scenario
def error_406(connection):
    channel = connection.channel()
    durable = name("durable")
    channel.queue_declare(durable, durable=True)
    with closes_channel(connection, 406, f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{durable}' in vhost '/': "
                                         "received 'false' but current is 'true'"):
        channel.queue_declare(durable)
    connection.channel().queue_delete(durable)
    with closes_channel(connection, 406, "PRECONDITION_FAILED - unknown delivery tag 99"):
        channel = connection.channel()
        channel.basic_ack(99)
        queue(channel)


@scenario
def error_540(_):
    channel = connect().channel()
    try:
        channel.basic_recover(requeue=False)
    except ConnectionClosedByBroker as closed:
        equal((closed.reply_code, closed.reply_text), (540, "NOT_IMPLEMENTED - requeue=false"))
    else:
        raise AssertionError("no error 540")
    connect().close()


@scenario
def many_channels(connection):
    channels = [connection.channel() for _ in range(200)]
    queues = [queue(channel) for channel in channels]
    for number, (channel, own) in enumerate(zip(channels, queues)):
        send(channel, own, str(number))
    equal([drain(*own) for own in zip(channels, queues)], [[str(number)] for number in range(200)])


@scenario
def heartbeat(_):
    with connect(heartbeat=1) as connection:
        connection.sleep(4)
        channel = connection.channel()
        own = queue(channel)
        send(channel, own, b"alive")
        equal(drain(channel, own), ["alive"])


@scenario
def reconnect(connection):
    proxy, channel, kept = Proxy(URL), connection.channel(), name("kept")
    channel.queue_declare(kept, durable=True)
    try:
        send(channel, kept, *"01234")
        through = connect(proxy.url).channel()
        deliveries = take(through, kept, 5)
        equal([method.redelivered for method, _, _ in deliveries], [False] * 5)
        for method, _, _ in deliveries[:2]:
            through.basic_ack(method.delivery_tag)
        equal(count(through, kept), (0, 1))
        proxy.cut()
        try:
            through.connection.process_data_events(time_limit=SECONDS)
        except AMQPConnectionError:
            pass
        else:
            raise AssertionError("the cut was not noticed")
        again = connect(proxy.url).channel()
        deliveries = take(again, kept, 3)
        equal([(body, method.redelivered) for method, _, body in deliveries], [(b"2", True), (b"3", True), (b"4", True)])
        again.basic_ack(deliveries[-1][0].delivery_tag, multiple=True)
        again.connection.close()
    finally:
        equal(channel.queue_delete(kept).method.message_count, 0)


@scenario
def work_queue(_):
    invoices = orders.run(URL)
    equal(sorted(invoice["order"] for invoice in invoices), list(range(orders.ORDERS)))
    equal(any(invoice["redelivered"] for invoice in invoices), True)


def run(function):
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError(f"not done after {SECONDS} s")))
    signal.alarm(SECONDS)
    try:
        connection = connect()
        function(connection)
        if connection.is_open:
            connection.close()
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    report(run, {"confirm-many": "waits for the confirm of each publish", "error-530": "refuses a consumer tag in use itself"})
