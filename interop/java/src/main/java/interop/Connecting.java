package interop;

import static interop.Session.consume;
import static interop.Session.equal;
import static interop.Session.list;
import static interop.Session.name;
import static interop.Session.next;
import static interop.Session.queue;
import static interop.Session.ready;
import static interop.Session.text;

import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.MessageProperties;
import java.net.Socket;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;

final class Connecting {
    private record Bill(String order, boolean redelivered) { }

    static void add(Map<String, Main.Scenario> scenarios) {
        scenarios.put("connect", Connecting::connect);
        scenarios.put("access-refused", Connecting::accessRefused);
        scenarios.put("many-channels", Connecting::manyChannels);
        scenarios.put("heartbeat", Connecting::heartbeat);
        scenarios.put("reconnect", Connecting::reconnect);
        scenarios.put("work-queue", Connecting::workQueue);
    }

    private static void connect(Session session) throws Exception {
        Map<String, Object> server = session.connection.getServerProperties();
        equal(server.get("product").toString().isEmpty(), false);
        equal(server.get("version").toString().isEmpty(), false);
        var capabilities = (Map<?, ?>) server.get("capabilities");
        for (String announced : List.of("publisher_confirms", "consumer_cancel_notify", "basic.nack", "exchange_exchange_bindings",
                                        "authentication_failure_close")) {
            equal(list(announced, capabilities.get(announced)), list(announced, true));
        }
        equal(session.connection.getChannelMax() > 0 && session.connection.getFrameMax() > 0, true);
        session.channel.close();
        session.connection.close();
    }

    private static void accessRefused(Session session) throws Exception {
        ConnectionFactory factory = Session.factory();
        factory.setPassword("wrong");
        try {
            factory.newConnection();
        } catch (AuthenticationFailureException refused) {
            equal(refused.getMessage(), "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
                + "For details see the broker logfile.");
            return;
        }
        throw new AssertionError("a wrong password was let in");
    }

    private static void manyChannels(Session session) throws Exception {
        List<Channel> channels = new ArrayList<>();
        List<String> queues = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            channels.add(session.connection.createChannel());
            queues.add(queue(channels.get(i), Map.of()));
        }
        for (int i = 0; i < 200; i++) {
            channels.get(i).basicPublish("", queues.get(i), null, Session.bytes("" + i));
        }
        for (int i = 0; i < 200; i++) {
            equal(Session.drain(channels.get(i), queues.get(i)), List.of("" + i));
        }
    }

    private static void heartbeat(Session session) throws Exception {
        ConnectionFactory factory = Session.factory();
        factory.setRequestedHeartbeat(1);
        try (Connection connection = factory.newConnection()) {
            equal(connection.getHeartbeat(), 1);
            AtomicInteger lost = new AtomicInteger();
            connection.addShutdownListener(cause -> lost.incrementAndGet());
            Thread.sleep(4000);
            Channel channel = connection.createChannel();
            equal(ready(channel, queue(channel, Map.of())), List.of(0, 0));
            equal(lost.get(), 0);
        }
    }

    /** The client recovers the connection, the channel and the consumer by itself, as it does by default. */
    private static void reconnect(Session session) throws Exception {
        String kept = name("kept");
        session.channel.queueDeclare(kept, true, false, false, null);
        session.send(kept, "0", "1", "2", "3", "4");
        List<Socket> sockets = new ArrayList<>();
        try (Connection connection = Session.factory(sockets).newConnection()) {
            Channel channel = connection.createChannel();
            var deliveries = consume(channel, kept, false);
            for (int i = 0; i < 5; i++) {
                var delivery = next(deliveries);
                equal(list(text(delivery.getBody()), delivery.getEnvelope().isRedeliver()), list("" + i, false));
                if (i < 2) {
                    channel.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
                }
            }
            equal(ready(channel, kept), List.of(0, 1));
            sockets.get(0).close();
            for (int i = 2; i < 5; i++) {
                var delivery = next(deliveries);
                equal(list(text(delivery.getBody()), delivery.getEnvelope().isRedeliver()), list("" + i, true));
                channel.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
            }
            equal(sockets.size(), 2);
        }
        equal(session.channel.queueDelete(kept).getMessageCount(), 0);
    }

    private static void workQueue(Session session) throws Exception {
        final int all = 300, workers = 3, hold = 10;
        String exchange = name("orders"), queue = name("billing");
        session.channel.exchangeDeclare(exchange, "topic", true);
        session.channel.queueDeclare(queue, true, false, false, null);
        session.channel.queueBind(queue, exchange, "order.#");

        BlockingQueue<Bill> billed = new LinkedBlockingQueue<>();
        List<Connection> connections = new ArrayList<>();
        for (int worker = 0; worker < workers; worker++) {
            List<Socket> sockets = new ArrayList<>();
            ConnectionFactory factory = Session.factory(sockets);
            boolean dies = worker == 0;
            factory.setAutomaticRecoveryEnabled(!dies);
            connections.add(factory.newConnection());
            Channel channel = connections.get(worker).createChannel();
            channel.basicQos(hold);
            AtomicInteger count = new AtomicInteger();
            channel.basicConsume(queue, false, (tag, delivery) -> {
                if (dies && count.incrementAndGet() >= hold) {
                    sockets.get(0).close();
                    return;
                }
                billed.add(new Bill(text(delivery.getBody()), delivery.getEnvelope().isRedeliver()));
                channel.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
            }, tag -> { });
        }

        session.channel.confirmSelect();
        for (int number = 0; number < all; number++) {
            session.channel.basicPublish(exchange, "order.eu." + number, true, MessageProperties.PERSISTENT_BASIC, Session.bytes("" + number));
        }
        session.channel.waitForConfirmsOrDie(Main.SECONDS * 1000L);

        Set<String> orders = new HashSet<>();
        int again = 0;
        while (orders.size() < all) {
            Bill bill = next(billed);
            orders.add(bill.order());
            again += bill.redelivered() ? 1 : 0;
        }
        equal(again > 0, true);
        for (Connection connection : connections) {
            connection.abort();
        }
        equal(session.channel.queueDelete(queue).getMessageCount(), 0);
        session.channel.exchangeDelete(exchange);
    }
}
