package interop;

import static interop.Session.equal;
import static interop.Session.list;
import static interop.Session.ready;

import com.rabbitmq.client.AMQP.BasicProperties;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

final class Routing {
    static void add(Map<String, Main.Scenario> scenarios) {
        scenarios.put("queue-lifecycle", Routing::queueLifecycle);
        scenarios.put("direct", Routing::direct);
        scenarios.put("fanout", Routing::fanout);
        scenarios.put("topic", Routing::topic);
        scenarios.put("headers", Routing::headers);
        scenarios.put("exchange-to-exchange", Routing::exchangeToExchange);
        scenarios.put("alternate-exchange", Routing::alternateExchange);
    }

    private static void queueLifecycle(Session session) throws Exception {
        session.channel.confirmSelect();
        String named = session.channel.queueDeclare().getQueue();
        equal(named.startsWith("amq.gen-"), true);
        session.send(named, "1", "2", "3");
        session.channel.waitForConfirmsOrDie();
        equal(ready(session.channel, named), List.of(3, 0));
        equal(session.channel.queuePurge(named).getMessageCount(), 3);
        session.send(named, "4", "5");
        session.channel.waitForConfirmsOrDie();
        equal(session.channel.queueDelete(named).getMessageCount(), 2);
    }

    private static void direct(Session session) throws Exception {
        String colours = session.exchange("direct", Map.of());
        String one = session.bound(colours, "red"), both = session.bound(colours, "red", "blue");
        for (String colour : List.of("red", "blue", "green")) {
            session.publish(colours, colour, null, colour);
        }
        equal(list(session.drain(one), session.drain(both)), list(List.of("red"), List.of("red", "blue")));
        session.channel.queueUnbind(both, colours, "blue");
        session.publish(colours, "blue", null, "late");
        equal(list(session.drain(one), session.drain(both)), list(List.of(), List.of()));
    }

    private static void fanout(Session session) throws Exception {
        String news = session.exchange("fanout", Map.of());
        List<String> queues = List.of(session.bound(news, ""), session.bound(news, "ignored"));
        session.publish(news, "any", null, "first");
        session.publish(news, "", null, "second");
        for (String queue : queues) {
            equal(session.drain(queue), List.of("first", "second"));
        }
    }

    private static void topic(Session session) throws Exception {
        String animals = session.exchange("topic", Map.of());
        List<String> sent = List.of("quick.orange.rabbit", "lazy.orange.elephant", "quick.brown.fox", "lazy", "lazy.pink.rabbit", "");
        Map<String, List<String>> wanted = Map.of(
            "*.orange.*", List.of(sent.get(0), sent.get(1)),
            "*.*.rabbit", List.of(sent.get(0), sent.get(4)),
            "lazy.#", List.of(sent.get(1), sent.get(3), sent.get(4)),
            "#", sent);
        Map<String, String> queues = new LinkedHashMap<>();
        for (String pattern : wanted.keySet()) {
            queues.put(pattern, session.bound(animals, pattern));
        }
        for (String key : sent) {
            session.publish(animals, key, null, key);
        }
        for (var queue : queues.entrySet()) {
            equal(session.drain(queue.getValue()), wanted.get(queue.getKey()));
        }
    }

    private static void headers(Session session) throws Exception {
        String documents = session.exchange("headers", Map.of());
        String every = session.bound(documents, Map.of("x-match", "all", "format", "pdf", "type", "report"), "");
        String some = session.bound(documents, Map.of("x-match", "any", "format", "pdf", "type", "report"), "");
        Map<String, Map<String, Object>> sent = new LinkedHashMap<>();
        sent.put("both", Map.of("format", "pdf", "type", "report"));
        sent.put("one", Map.of("format", "pdf", "type", "log"));
        sent.put("none", Map.of("format", "zip"));
        for (var message : sent.entrySet()) {
            session.publish(documents, "", new BasicProperties.Builder().headers(message.getValue()).build(), message.getKey());
        }
        equal(list(session.drain(every), session.drain(some)), list(List.of("both"), List.of("both", "one")));
    }

    private static void exchangeToExchange(Session session) throws Exception {
        String source = session.exchange("topic", Map.of()), target = session.exchange("fanout", Map.of());
        String audited = session.bound(target, "");
        session.bound(source, "kept.alive");
        session.channel.exchangeBind(target, source, "audit.#");
        session.publish(source, "audit.login", null, "login");
        session.publish(source, "other", null, "other");
        equal(session.drain(audited), List.of("login"));
        session.channel.exchangeUnbind(target, source, "audit.#");
        session.publish(source, "audit.login", null, "late");
        equal(session.drain(audited), List.of());
    }

    private static void alternateExchange(Session session) throws Exception {
        AtomicInteger returned = new AtomicInteger();
        session.channel.addReturnListener(message -> returned.incrementAndGet());
        String rest = session.exchange("fanout", Map.of());
        String main = session.exchange("direct", Map.of("alternate-exchange", rest));
        String known = session.bound(main, "known"), unrouted = session.bound(rest, "");
        session.channel.confirmSelect();
        for (String key : List.of("known", "unknown")) {
            session.channel.basicPublish(main, key, true, null, Session.bytes(key));
        }
        session.channel.waitForConfirmsOrDie();
        equal(list(session.drain(known), session.drain(unrouted), returned.get()), list(List.of("known"), List.of("unknown"), 0));
    }
}
