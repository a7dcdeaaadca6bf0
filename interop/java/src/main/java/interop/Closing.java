package interop;

import static interop.Session.closed;
import static interop.Session.equal;
import static interop.Session.name;
import static interop.Session.queue;

import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ShutdownNotifier;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

final class Closing {
    private interface Provocation {
        void run(Channel channel) throws IOException;
    }

    static void add(Map<String, Main.Scenario> scenarios) {
        scenarios.put("error-403", Closing::error403);
        scenarios.put("error-404", Closing::error404);
        scenarios.put("error-405", Closing::error405);
        scenarios.put("error-406", Closing::error406);
        scenarios.put("error-540", Closing::error540);
    }

    /** What is provoked must close its channel so, and the connection must go on. */
    private static void closesChannel(Session session, int code, String text, Provocation provocation) throws Exception {
        Channel channel = session.connection.createChannel();
        closed(provoke(channel, channel, provocation), code, text);
        Channel next = session.connection.createChannel();
        String own = queue(next, Map.of());
        next.basicPublish("", own, null, Session.bytes("after"));
        equal(Session.drain(next, own), List.of("after"));
    }

    private static void closesConnection(Session session, int code, String text, Provocation provocation) throws Exception {
        closed(provoke(session.connection, session.channel, provocation), code, text);
        Session.factory().newConnection().close();
    }

    private static ShutdownSignalException provoke(ShutdownNotifier closing, Channel channel, Provocation provocation) throws Exception {
        CompletableFuture<ShutdownSignalException> cause = new CompletableFuture<>();
        closing.addShutdownListener(cause::complete);
        try {
            provocation.run(channel);
        } catch (IOException refused) {
            equal(refused.getCause() instanceof ShutdownSignalException, true);
        }
        return cause.get(Main.SECONDS, TimeUnit.SECONDS);
    }

    private static void error403(Session session) throws Exception {
        String reserved = "amq." + name("queue");
        closesChannel(session, 403, "ACCESS_REFUSED - queue name '%s' contains reserved prefix 'amq.*'".formatted(reserved),
                      channel -> channel.queueDeclare(reserved, false, false, false, null));
    }

    private static void error404(Session session) throws Exception {
        String missing = name("missing");
        closesChannel(session, 404, "NOT_FOUND - no queue '%s' in vhost '/'".formatted(missing),
                      channel -> channel.queueDeclarePassive(missing));
        closesChannel(session, 404, "NOT_FOUND - no exchange '%s' in vhost '/'".formatted(missing),
                      channel -> channel.basicPublish(missing, "", null, new byte[0]));
    }

    private static void error405(Session session) throws Exception {
        try (Connection owner = Session.factory().newConnection()) {
            String locked = queue(owner.createChannel(), Map.of());
            closesChannel(session, 405, ("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s' in vhost '/'. It could be "
                + "originally declared on another connection or the exclusive property value does not match that of the original "
                + "declaration.").formatted(locked), channel -> channel.queueDeclarePassive(locked));
        }
    }

    private static void error406(Session session) throws Exception {
        String durable = name("durable");
        session.channel.queueDeclare(durable, true, false, false, null);
        closesChannel(session, 406, ("PRECONDITION_FAILED - inequivalent arg 'durable' for queue '%s' in vhost '/': "
            + "received 'false' but current is 'true'").formatted(durable),
            channel -> channel.queueDeclare(durable, false, false, false, null));
        session.channel.queueDelete(durable);
        closesChannel(session, 406, "PRECONDITION_FAILED - unknown delivery tag 99", channel -> channel.basicAck(99, false));
    }

    private static void error540(Session session) throws Exception {
        closesConnection(session, 540, "NOT_IMPLEMENTED - requeue=false", channel -> channel.basicRecover(false));
    }
}
