package interop;

import static interop.Session.consume;
import static interop.Session.equal;
import static interop.Session.list;
import static interop.Session.next;
import static interop.Session.ready;
import static interop.Session.text;

import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Return;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

final class Publishing {
    static void add(Map<String, Main.Scenario> scenarios) {
        scenarios.put("mandatory-return", Publishing::mandatoryReturn);
        scenarios.put("confirm", Publishing::confirm);
        scenarios.put("confirm-many", Publishing::confirmMany);
        scenarios.put("confirm-nack", Publishing::confirmNack);
        scenarios.put("tx", Publishing::tx);
        scenarios.put("direct-reply-to", Publishing::directReplyTo);
    }

    private static void mandatoryReturn(Session session) throws Exception {
        BlockingQueue<Return> returns = new LinkedBlockingQueue<>();
        Channel channel = session.channel;
        channel.addReturnListener(returns::add);
        channel.confirmSelect();
        var properties = new BasicProperties.Builder().messageId("m-1").build();
        channel.basicPublish("amq.direct", "nowhere", true, properties, Session.bytes("lost"));
        equal(channel.waitForConfirms(), true);
        Return lost = next(returns);
        equal(list(lost.getReplyCode(), lost.getReplyText(), lost.getExchange(), lost.getRoutingKey(), lost.getProperties().getMessageId(),
                   text(lost.getBody())), list(312, "NO_ROUTE", "amq.direct", "nowhere", "m-1", "lost"));
        String own = session.queue();
        channel.basicPublish("", own, true, null, Session.bytes("found"));
        equal(channel.waitForConfirms(), true);
        equal(list(session.drain(own), returns.size()), list(List.of("found"), 0));
    }

    private static void confirm(Session session) throws Exception {
        session.channel.confirmSelect();
        String own = session.queue();
        session.send(own, "sure");
        equal(session.channel.waitForConfirms(), true);
        equal(ready(session.channel, own), List.of(1, 0));
    }

    private static void confirmMany(Session session) throws Exception {
        final int many = 1000;
        Channel channel = session.channel;
        ConcurrentSkipListSet<Long> outstanding = new ConcurrentSkipListSet<>();
        CountDownLatch acked = new CountDownLatch(many);
        AtomicInteger wrong = new AtomicInteger();
        channel.confirmSelect();
        channel.addConfirmListener((tag, multiple) -> {
            var confirmed = multiple ? outstanding.headSet(tag, true) : outstanding.subSet(tag, true, tag, true);
            if (confirmed.isEmpty()) {
                wrong.incrementAndGet();
            }
            while (confirmed.pollFirst() != null) {
                acked.countDown();
            }
        }, (tag, multiple) -> wrong.incrementAndGet());
        String own = session.queue();
        List<String> wanted = new ArrayList<>();
        for (int number = 0; number < many; number++) {
            wanted.add("" + number);
            outstanding.add(channel.getNextPublishSeqNo());
            session.send(own, "" + number);
        }
        equal(acked.await(Main.SECONDS, TimeUnit.SECONDS), true);
        equal(list(wrong.get(), ready(channel, own)), list(0, List.of(many, 0)));
        equal(session.drain(own), wanted);
    }

    private static void confirmNack(Session session) throws Exception {
        session.channel.confirmSelect();
        String full = session.queue(Map.of("x-max-length", 1, "x-overflow", "reject-publish"));
        session.send(full, "fits");
        equal(session.channel.waitForConfirms(), true);
        session.send(full, "too many");
        equal(session.channel.waitForConfirms(), false);
        equal(session.drain(full), List.of("fits"));
    }

    private static void tx(Session session) throws Exception {
        Channel channel = session.channel, other = session.connection.createChannel();
        String own = session.queue();
        channel.txSelect();
        session.send(own, "committed");
        equal(ready(other, own), List.of(0, 0));
        channel.txCommit();
        equal(ready(other, own), List.of(1, 0));
        session.send(own, "rolled back");
        channel.txRollback();
        channel.txCommit();
        equal(ready(other, own), List.of(1, 0));
        long tag = channel.basicGet(own, false).getEnvelope().getDeliveryTag();
        channel.basicAck(tag, false);
        channel.txRollback();
        channel.basicNack(tag, false, true);
        channel.txCommit();
        equal(Session.drain(other, own), List.of("committed"));
    }

    private static void directReplyTo(Session session) throws Exception {
        final String replyTo = "amq.rabbitmq.reply-to";
        Channel server = session.channel, client = session.connection.createChannel();
        String requests = session.queue();
        var replies = consume(client, replyTo, true);
        var asked = new BasicProperties.Builder().replyTo(replyTo).correlationId("c-7").build();
        client.basicPublish("", requests, asked, Session.bytes("6*7"));
        BasicProperties request = next(consume(server, requests, true)).getProperties();
        equal(request.getReplyTo().split("(?<=reply-to\\.)")[0], replyTo + ".");
        var answer = new BasicProperties.Builder().correlationId(request.getCorrelationId()).build();
        server.basicPublish("", request.getReplyTo(), answer, Session.bytes("42"));
        var reply = next(replies);
        equal(list(reply.getProperties().getCorrelationId(), text(reply.getBody())), list("c-7", "42"));
    }
}
