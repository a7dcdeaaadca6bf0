package interop;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.Method;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** One scenario's connection and channel, and short words for what scenarios do with them. */
final class Session implements AutoCloseable {
    final Connection connection;
    final Channel channel;

    Session() throws Exception {
        connection = factory().newConnection();
        channel = connection.createChannel();
    }

    @Override
    public void close() throws IOException {
        if (connection.isOpen()) {
            connection.close();
        }
    }

    static ConnectionFactory factory() throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(Objects.requireNonNullElse(System.getenv("AMQP_URL"), "amqp://guest:guest@127.0.0.1:5672").replaceAll("/$", ""));
        factory.setNetworkRecoveryInterval(200);
        return factory;
    }

    /** A factory that notes the sockets of its connections, so that a scenario can drop them. */
    static ConnectionFactory factory(List<Socket> sockets) throws Exception {
        ConnectionFactory factory = factory();
        var configurator = factory.getSocketConfigurator();
        factory.setSocketConfigurator(socket -> {
            configurator.configure(socket);
            sockets.add(socket);
        });
        return factory;
    }

    static String name(String suffix) {
        return "interop.java." + UUID.randomUUID().toString().substring(0, 8) + "." + suffix;
    }

    String exchange(String kind, Map<String, Object> arguments) throws IOException {
        String declared = name(kind);
        channel.exchangeDeclare(declared, kind, false, true, arguments);
        return declared;
    }

    String queue() throws IOException {
        return queue(Map.of());
    }

    String queue(Map<String, Object> arguments) throws IOException {
        return queue(channel, arguments);
    }

    static String queue(Channel channel, Map<String, Object> arguments) throws IOException {
        return channel.queueDeclare(name("queue"), false, true, false, arguments).getQueue();
    }

    String bound(String exchange, String... keys) throws IOException {
        return bound(exchange, Map.of(), keys);
    }

    String bound(String exchange, Map<String, Object> arguments, String... keys) throws IOException {
        String declared = queue();
        for (String key : keys) {
            channel.queueBind(declared, exchange, key, arguments);
        }
        return declared;
    }

    void publish(String exchange, String key, BasicProperties properties, String body) throws IOException {
        channel.basicPublish(exchange, key, properties, bytes(body));
    }

    void send(String queue, String... bodies) throws IOException {
        for (String body : bodies) {
            publish("", queue, null, body);
        }
    }

    List<String> drain(String queue) throws IOException {
        return drain(channel, queue);
    }

    static List<String> drain(Channel channel, String queue) throws IOException {
        List<String> bodies = new ArrayList<>();
        GetResponse got;
        while ((got = channel.basicGet(queue, true)) != null) {
            bodies.add(text(got.getBody()));
        }
        return bodies;
    }

    /** Starts a consumer and gives where its deliveries arrive. */
    static BlockingQueue<Delivery> consume(Channel channel, String queue, boolean autoAck) throws IOException {
        BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
        channel.basicConsume(queue, autoAck, (tag, delivery) -> deliveries.add(delivery), tag -> { });
        return deliveries;
    }

    static <T> T next(BlockingQueue<T> arriving) throws InterruptedException {
        return Objects.requireNonNull(arriving.poll(Main.SECONDS, TimeUnit.SECONDS), "nothing arrived");
    }

    /** Ready messages and consumers. */
    static List<Integer> ready(Channel channel, String queue) throws IOException {
        AMQP.Queue.DeclareOk counted = channel.queueDeclarePassive(queue);
        return List.of(counted.getMessageCount(), counted.getConsumerCount());
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] body) {
        return new String(body, StandardCharsets.UTF_8);
    }

    static List<Object> list(Object... items) {
        return Arrays.asList(items);
    }

    static void equal(Object seen, Object wanted) {
        if (!Objects.equals(seen, wanted)) {
            throw new AssertionError("saw %.300s, not %.300s".formatted(seen, wanted));
        }
    }

    /** Checks what a channel or a connection was closed with. */
    static void closed(ShutdownSignalException closed, int code, String text) {
        Method reason = closed.getReason();
        if (reason instanceof AMQP.Channel.Close close) {
            equal(list(close.getReplyCode(), close.getReplyText()), list(code, text));
        } else if (reason instanceof AMQP.Connection.Close close) {
            equal(list(close.getReplyCode(), close.getReplyText()), list(code, text));
        } else {
            throw new AssertionError("closed by " + reason);
        }
    }
}
