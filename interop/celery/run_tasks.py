"""The scenarios for task queues with Celery: its workers are started by its own command. Prints a line for each scenario."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid

RUN = uuid.uuid4().hex[:8]
os.environ["INTEROP_QUEUE"] = f"interop.celery.{RUN}"

from app import app, fail, multiply, now, slow, third_time_lucky  # noqa: E402  (the tasks read the name of their queue)

SECONDS = 20
WORKERS = [f"{name}-{RUN}@localhost" for name in ("steady", "doomed")]


def task_result(_):
    equal(multiply.delay(6, 7).get(timeout=SECONDS), 42)


def task_many(_):
    results = [multiply.delay(number, number) for number in range(100)]
    equal([result.get(timeout=SECONDS) for result in results], [number * number for number in range(100)])


def task_error(_):
    try:
        fail.delay("grüße").get(timeout=SECONDS)
    except ValueError as error:
        equal(error.args, ("grüße",))
    else:
        raise AssertionError("the task did not fail")


def task_retry(_):
    equal(third_time_lucky.delay().get(timeout=SECONDS), 2)


def task_countdown(_):
    sent = time.time()
    started = now.apply_async(countdown=1).get(timeout=SECONDS)
    equal(started - sent >= 1, True)


def task_control(_):
    answers = app.control.ping(timeout=SECONDS, limit=len(WORKERS), destination=WORKERS)
    equal(sorted(worker for answer in answers for worker in answer), sorted(WORKERS))
    queues = app.control.inspect(destination=WORKERS[:1], timeout=SECONDS, limit=1).active_queues()
    equal([queue["name"] for queue in queues[WORKERS[0]]], [app.conf.task_default_queue])


def task_worker_killed(workers):
    results = [slow.delay(number) for number in range(30)]
    next(result for result in results if result.get(timeout=SECONDS)[1] == WORKERS[1])
    os.killpg(workers[1].pid, signal.SIGKILL)
    done = [result.get(timeout=SECONDS) for result in results]
    equal([number for number, _, _ in done], list(range(30)))
    equal(any(redelivered and worker == WORKERS[0] for _, worker, redelivered in done), True)


def start(worker):
    celery = pathlib.Path(sys.executable).with_name("celery")
    return subprocess.Popen([celery, "--app", "app", "worker", "--hostname", worker, "--concurrency", "2", "--loglevel", "WARNING"],
                            stdout=sys.stderr, start_new_session=True)


def wait_for(workers):
    until = time.monotonic() + SECONDS
    while len(app.control.ping(timeout=0.5, limit=len(WORKERS), destination=WORKERS)) < len(workers):
        if time.monotonic() > until:
            raise TimeoutError("the workers did not start")


def stop(workers):
    for worker in workers:
        worker.terminate()
    for worker in workers:
        try:
            worker.wait(SECONDS / 2)
        except subprocess.TimeoutExpired:
            os.killpg(worker.pid, signal.SIGKILL)


def equal(seen, wanted):
    if seen != wanted:
        raise AssertionError(f"saw {seen!r}, not {wanted!r}")


def late(*_):
    raise TimeoutError(f"not done after {SECONDS} s")


def clean_up():
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(app.conf.task_default_queue)
        connection.default_channel.exchange_delete(app.conf.task_default_queue)


def main():
    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    workers = [start(worker) for worker in WORKERS]
    failed = False
    signal.alarm(2 * SECONDS)
    try:
        wait_for(workers)
        for scenario in (task_result, task_many, task_error, task_retry, task_countdown, task_control, task_worker_killed):
            name = scenario.__name__.replace("_", "-")
            signal.alarm(SECONDS)
            try:
                scenario(workers)
                print(f"PASS {name}", flush=True)
            except Exception as error:
                failed = True
                print(f"FAIL {name}: {type(error).__name__}:", " ".join(str(error).split()), flush=True)
            signal.alarm(0)
    finally:
        signal.alarm(0)
        stop(workers)
        clean_up()
    sys.exit(failed)


if __name__ == "__main__":
    main()
