"""A TCP proxy in front of the broker, to drop a client's connection as a broken network would."""

import socket
import threading
from urllib.parse import urlsplit


class Proxy:
    """`url` leads through the proxy; `cut()` drops every connection made so far, without a word of AMQP."""

    def __init__(self, url):
        broker = urlsplit(url)
        self._broker = (broker.hostname, broker.port or 5672)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = []
        port = self._listener.getsockname()[1]
        credentials = broker.netloc.rpartition("@")[0]
        self.url = broker._replace(netloc=f"{credentials}@127.0.0.1:{port}").geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        while self._sockets:
            self._end(self._sockets.pop())

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            broker = socket.create_connection(self._broker)
            self._sockets += [client, broker]
            for source, sink in ((client, broker), (broker, client)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source, sink):
        try:
            while received := source.recv(65536):
                sink.sendall(received)
        except OSError:
            pass
        self._end(sink)

    @staticmethod
    def _end(end):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
