"""An order service and its billing workers: every order is billed, though one worker is killed with orders in hand.

    AMQP_URL=amqp://guest:guest@127.0.0.1:5672/ python work_queue.py
"""

import json
import multiprocessing
import os
import signal
import uuid

import pika

ORDERS, WORKERS, PREFETCH = 300, 3, 10


def order_service(url, exchange):
    """Publishes each order and goes on when the broker has confirmed it."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number in range(ORDERS):
            order = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
            channel.basic_publish(exchange, f"order.eu.{number}", json.dumps(number), order, mandatory=True)


def billing_worker(url, orders, invoices, dies_at=None):
    """Bills one order after the other, and acks an order only when its invoice is confirmed."""
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.confirm_delivery()
    channel.basic_qos(prefetch_count=PREFETCH)
    for billed, (delivery, _, order) in enumerate(channel.consume(orders), start=1):
        if billed == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        invoice = {"order": json.loads(order), "redelivered": delivery.redelivered}
        channel.basic_publish("", invoices, json.dumps(invoice), mandatory=True)
        channel.basic_ack(delivery.delivery_tag)


def run(url):
    """Gives the invoices of all orders, as soon as no order is left without one."""
    exchange, orders = f"orders.{uuid.uuid4()}", f"billing.{uuid.uuid4()}"
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.exchange_declare(exchange, "topic", durable=True)
    channel.queue_declare(orders, durable=True)
    channel.queue_bind(orders, exchange, "order.#")
    invoices = channel.queue_declare("", exclusive=True).method.queue

    workers = [multiprocessing.Process(target=billing_worker, args=(url, orders, invoices, dies_at), daemon=True)
               for dies_at in [PREFETCH] + [None] * (WORKERS - 1)]
    for worker in workers:
        worker.start()
    while channel.queue_declare(orders, passive=True).method.consumer_count < WORKERS:
        connection.sleep(0.02)
    order_service(url, exchange)

    billed = {}
    for delivery, _, body in channel.consume(invoices, auto_ack=True):
        invoice = json.loads(body)
        billed[invoice["order"]] = invoice
        if len(billed) == ORDERS:
            break
    channel.cancel()
    for worker in workers:
        worker.kill()
        worker.join()
    channel.exchange_delete(exchange)
    channel.queue_delete(orders)
    connection.close()
    return list(billed.values())


if __name__ == "__main__":
    result = run(os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"))
    again = sum(invoice["redelivered"] for invoice in result)
    print(f"{len(result)} orders billed, {again} of them after the worker that had them was killed")
