"""The scenarios of restarts with pika: `restart.py before` leaves durable things and persistent messages behind, `restart.py after` looks
for them in the broker that was started again."""

import sys

import pika

from blocking_session import connect, count
from harness import equal

QUEUE, EXCHANGE = "interop.pika.restart", "interop.pika.restart.orders"
PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent, headers={"n": 1})
MESSAGES = [str(n) for n in range(100)]


def declare(channel):
    channel.exchange_declare(EXCHANGE, "topic", durable=True)
    channel.queue_declare(QUEUE, durable=True, arguments={"x-max-length": 1000})
    channel.confirm_delivery()


def before(channel):
    declare(channel)
    channel.queue_bind(QUEUE, EXCHANGE, "order.*")
    for body in MESSAGES:
        channel.basic_publish(EXCHANGE, "order.new", body, PERSISTENT, mandatory=True)
    channel.basic_qos(prefetch_count=10)
    for (method, _, _), _ in zip(channel.consume(QUEUE), range(10)):
        if method.delivery_tag <= 5:
            channel.basic_ack(method.delivery_tag)
    # Confirmed behind the acks, so these are on disk too.
    channel.basic_publish(EXCHANGE, "order.new", "last", PERSISTENT, mandatory=True)


def after(channel):
    declare(channel)
    equal(count(channel, QUEUE), (96, 0))
    seen = []
    while (got := channel.basic_get(QUEUE, auto_ack=True))[0]:
        method, properties, body = got
        equal(properties.headers, {"n": 1})
        seen.append((body.decode(), method.redelivered))
    equal([body for body, _ in seen], [*MESSAGES[5:], "last"])
    equal([redelivered for _, redelivered in seen[:5]], [True] * 5)
    channel.basic_publish(EXCHANGE, "order.again", "the binding is there", mandatory=True)
    equal(count(channel, QUEUE), (1, 0))


if __name__ == "__main__":
    with connect() as connection:
        {"before": before, "after": after}[sys.argv[1]](connection.channel())
