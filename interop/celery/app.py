"""The tasks. Celery's configuration is its default, but for the broker, the results over it, and a queue of this run's own."""

import os
import time

from celery import Celery

app = Celery("interop", broker=os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"), backend="rpc://")
app.conf.task_default_queue = os.environ["INTEROP_QUEUE"]


@app.task
def multiply(left, right):
    return left * right


@app.task
def fail(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=3)
def third_time_lucky(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries


@app.task
def now():
    return time.time()


@app.task(bind=True, acks_late=True)
def slow(self, number):
    time.sleep(0.1)
    return number, self.request.hostname, self.request.delivery_info["redelivered"]
