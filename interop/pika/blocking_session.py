"""Short words for what the scenarios do with pika's BlockingConnection."""

import pika

from harness import SECONDS, URL, name


def connect(url=URL, **parameters):
    parameters_of_url = pika.URLParameters(url)
    for key, value in parameters.items():
        setattr(parameters_of_url, key, value)
    return pika.BlockingConnection(parameters_of_url)


def queue(channel, **arguments):
    return channel.queue_declare(name("queue"), exclusive=True, arguments=arguments).method.queue


def bound(channel, exchange, *keys, arguments=None):
    bound_queue = queue(channel)
    for key in keys:
        channel.queue_bind(bound_queue, exchange, key, arguments)
    return bound_queue


def exchange(channel, kind, **arguments):
    declared = name(kind)
    channel.exchange_declare(declared, kind, auto_delete=True, arguments=arguments)
    return declared


def send(channel, queue, *bodies):
    for body in bodies:
        channel.basic_publish("", queue, body)


def drain(channel, queue):
    bodies = []
    while (got := channel.basic_get(queue, auto_ack=True))[0]:
        bodies.append(got[2].decode())
    return bodies


def count(channel, queue):
    """Ready messages and consumers."""
    counted = channel.queue_declare(queue, passive=True).method
    return counted.message_count, counted.consumer_count


def take(channel, queue, number, **options):
    """The next deliveries of a new consumer, as (method, properties, body)."""
    deliveries = []
    channel.basic_consume(queue, lambda _, *delivery: deliveries.append(delivery), **options)
    more(channel, deliveries, number)
    return deliveries


def more(channel, deliveries, number):
    while len(deliveries) < number:
        channel.connection.process_data_events(time_limit=SECONDS)
