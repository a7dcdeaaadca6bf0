package interop;

import static interop.Session.consume;
import static interop.Session.equal;
import static interop.Session.list;
import static interop.Session.next;
import static interop.Session.ready;
import static interop.Session.text;

import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

final class Consuming {
    static void add(Map<String, Main.Scenario> scenarios) {
        scenarios.put("prefetch", Consuming::prefetch);
        scenarios.put("requeue", Consuming::requeue);
        scenarios.put("dead-letter", Consuming::deadLetter);
        scenarios.put("get", Consuming::get);
        scenarios.put("cancel", Consuming::cancel);
        scenarios.put("cancel-notify", Consuming::cancelNotify);
    }

    private static void prefetch(Session session) throws Exception {
        List<String> wanted = List.of("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"), seen = new ArrayList<>();
        String own = session.queue();
        session.send(own, wanted.toArray(String[]::new));
        session.channel.basicQos(3);
        var deliveries = consume(session.channel, own, false);
        while (seen.size() < 10) {
            Delivery last = null;
            for (int i = Math.min(3, 10 - seen.size()); i > 0; i--) {
                last = next(deliveries);
                seen.add(text(last.getBody()));
            }
            equal(list(ready(session.channel, own), deliveries.size()), list(List.of(10 - seen.size(), 1), 0));
            session.channel.basicAck(last.getEnvelope().getDeliveryTag(), true);
        }
        equal(seen, wanted);
    }

    private static long see(Session session, String queue, String body, boolean redelivered) throws Exception {
        GetResponse got = session.channel.basicGet(queue, false);
        equal(list(text(got.getBody()), got.getEnvelope().isRedeliver()), list(body, redelivered));
        return got.getEnvelope().getDeliveryTag();
    }

    private static void requeue(Session session) throws Exception {
        Channel channel = session.channel;
        String own = session.queue();
        session.send(own, "again");
        channel.basicNack(see(session, own, "again", false), false, true);
        channel.basicNack(see(session, own, "again", true), false, false);
        equal(session.drain(own), List.of());
        session.send(own, "again");
        channel.basicReject(see(session, own, "again", false), true);
        channel.basicReject(see(session, own, "again", true), false);
        equal(session.drain(own), List.of());
        session.send(own, "first", "second");
        see(session, own, "first", false);
        channel.basicNack(see(session, own, "second", false), true, true);
        see(session, own, "first", true);
        see(session, own, "second", true);
    }

    private static void deadLetter(Session session) throws Exception {
        String graveyard = session.exchange("fanout", Map.of());
        var dead = consume(session.channel, session.bound(graveyard, ""), true);
        String own = session.queue(Map.of("x-dead-letter-exchange", graveyard));
        session.send(own, "refused");
        session.channel.basicReject(see(session, own, "refused", false), false);
        died(next(dead), "refused", own, "rejected");
        session.publish("", own, new BasicProperties.Builder().expiration("1").build(), "old");
        died(next(dead), "old", own, "expired");
    }

    private static void died(Delivery delivery, String body, String queue, String reason) {
        var death = (Map<?, ?>) ((List<?>) delivery.getProperties().getHeaders().get("x-death")).get(0);
        equal(list(text(delivery.getBody()), death.get("queue").toString(), death.get("reason").toString(), death.get("count")),
              list(body, queue, reason, 1L));
    }

    private static void get(Session session) throws Exception {
        String own = session.queue();
        equal(session.channel.basicGet(own, false), null);
        session.send(own, "first", "second");
        GetResponse first = session.channel.basicGet(own, true);
        equal(list(first.getEnvelope().getRoutingKey(), first.getMessageCount(), first.getEnvelope().isRedeliver(), text(first.getBody())),
              list(own, 1, false, "first"));
        equal(session.drain(own), List.of("second"));
    }

    private static void cancel(Session session) throws Exception {
        Channel channel = session.channel;
        channel.confirmSelect();
        String own = session.queue();
        session.send(own, "seen");
        BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
        String tag = channel.basicConsume(own, false, (consumer, delivery) -> deliveries.add(delivery), consumer -> { });
        channel.basicAck(next(deliveries).getEnvelope().getDeliveryTag(), false);
        equal(ready(channel, own), List.of(0, 1));
        channel.basicCancel(tag);
        session.send(own, "kept");
        channel.waitForConfirmsOrDie();
        equal(list(ready(channel, own), deliveries.size()), list(List.of(1, 0), 0));
    }

    private static void cancelNotify(Session session) throws Exception {
        BlockingQueue<String> told = new LinkedBlockingQueue<>();
        String own = session.queue();
        String tag = session.channel.basicConsume(own, false, (consumer, delivery) -> { }, told::add);
        session.channel.queueDelete(own);
        equal(next(told), tag);
        equal(ready(session.channel, session.queue()), List.of(0, 0));
    }
}
