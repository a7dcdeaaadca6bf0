package interop;

import static interop.Session.consume;
import static interop.Session.equal;
import static interop.Session.next;

import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.LongString;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

final class Contents {
    static void add(Map<String, Main.Scenario> scenarios) {
        scenarios.put("properties", Contents::properties);
        scenarios.put("header-types", Contents::headerTypes);
        scenarios.put("body-empty", Contents::bodyEmpty);
        scenarios.put("body-large", Contents::bodyLarge);
    }

    private static void properties(Session session) throws Exception {
        String own = session.queue();
        var sent = new BasicProperties.Builder().contentType("application/json").contentEncoding("gzip").deliveryMode(2).priority(7)
            .correlationId("c").replyTo("r").expiration("60000").messageId("m").timestamp(new Date(1709209815000L)).type("t")
            .userId("guest").appId("a").clusterId("x").build();
        session.publish("", own, sent, "");
        equal(session.channel.basicGet(own, true).getProps(), sent);
    }

    private static void headerTypes(Session session) throws Exception {
        Map<String, Object> sent = new HashMap<>();
        sent.put("bool", true);
        sent.put("byte", (byte) -100);
        sent.put("short", (short) -30000);
        sent.put("int", Integer.MIN_VALUE);
        sent.put("long", Long.MIN_VALUE);
        sent.put("float", 1.5f);
        sent.put("double", 0.1);
        sent.put("decimal", new BigDecimal("-3.14"));
        sent.put("string", "grüße");
        sent.put("empty", "");
        sent.put("bytes", new byte[] {0, -1, -2});
        sent.put("date", new Date(1709209815000L));
        sent.put("null", null);
        sent.put("array", Arrays.asList(1, "two", Arrays.asList(false, null), Map.of("three", 3)));
        sent.put("table", Map.of("inner", Map.of("deep", List.of(1L << 40)), "nothing", Map.of()));
        String own = session.queue();
        session.publish("", own, new BasicProperties.Builder().headers(sent).build(), "");
        equal(plain(session.channel.basicGet(own, true).getProps().getHeaders()), plain(sent));
    }

    /** The same value with the client's long strings and arrays of bytes as what compares by its contents. */
    private static Object plain(Object value) {
        if (value instanceof LongString text) {
            return text.toString();
        } else if (value instanceof byte[] bytes) {
            return "bytes " + Arrays.toString(bytes);
        } else if (value instanceof List<?> list) {
            return list.stream().map(Contents::plain).toList();
        } else if (value instanceof Map<?, ?> map) {
            Map<Object, Object> plain = new HashMap<>();
            map.forEach((key, item) -> plain.put(key, plain(item)));
            return plain;
        }
        return value;
    }

    private static void bodyEmpty(Session session) throws Exception {
        String own = session.queue();
        session.send(own, "before", "", "after");
        equal(session.drain(own), List.of("before", "", "after"));
    }

    private static void bodyLarge(Session session) throws Exception {
        byte[] large = new byte[5 * 1024 * 1024 + 1];
        for (int i = 0; i < large.length; i++) {
            large[i] = (byte) (i % 251);
        }
        String own = session.queue();
        session.channel.basicPublish("", own, null, large);
        session.channel.basicPublish("", own, null, large);
        equal(Arrays.equals(session.channel.basicGet(own, true).getBody(), large), true);
        equal(Arrays.equals(next(consume(session.channel, own, true)).getBody(), large), true);
    }
}
