package main

import (
	amqp "github.com/rabbitmq/amqp091-go"
)

var consuming = []scenario{
	{"prefetch", prefetch},
	{"requeue", requeue},
	{"dead-letter", deadLetter},
	{"get", getOne},
	{"cancel", cancel},
	{"cancel-notify", cancelNotify},
}

func prefetch(connection *amqp.Connection) {
	channel := open(connection)
	own := queue(channel, nil)
	wanted := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	send(channel, own, wanted...)
	ok(channel.Qos(3, 0, false))
	deliveries := consume(channel, own, false)
	seen := []string{}
	for len(seen) < len(wanted) {
		var last amqp.Delivery
		for range min(3, len(wanted)-len(seen)) {
			last = <-deliveries
			seen = append(seen, string(last.Body))
		}
		equal(ready(channel, own), [2]int{len(wanted) - len(seen), 1})
		ok(last.Ack(true))
	}
	equal(seen, wanted)
}

func requeue(connection *amqp.Connection) {
	channel := open(connection)
	own := queue(channel, nil)
	settles := []func(amqp.Delivery, bool) error{
		func(delivery amqp.Delivery, requeue bool) error { return delivery.Nack(false, requeue) },
		func(delivery amqp.Delivery, requeue bool) error { return delivery.Reject(requeue) },
	}
	see := func(body string, redelivered bool) amqp.Delivery {
		delivery := get(channel, own, false)
		equal([]any{string(delivery.Body), delivery.Redelivered}, []any{body, redelivered})
		return delivery
	}
	for _, settle := range settles {
		send(channel, own, "again")
		ok(settle(see("again", false), true))
		ok(settle(see("again", true), false))
		equal(drain(channel, own), []string{})
	}
	send(channel, own, "first", "second")
	see("first", false)
	ok(see("second", false).Nack(true, true))
	see("first", true)
	see("second", true)
}

func deadLetter(connection *amqp.Connection) {
	channel := open(connection)
	graveyard := exchange(channel, "fanout", nil)
	dead := consume(channel, bound(channel, graveyard, nil, ""), true)
	own := queue(channel, amqp.Table{"x-dead-letter-exchange": graveyard})
	died := func(body, reason string) {
		delivery := <-dead
		death := delivery.Headers["x-death"].([]any)[0].(amqp.Table)
		equal([]any{string(delivery.Body), death["queue"], death["reason"], death["count"]}, []any{body, own, reason, int64(1)})
	}
	send(channel, own, "refused")
	ok(get(channel, own, false).Reject(false))
	died("refused", "rejected")
	publish(channel, "", own, amqp.Publishing{Expiration: "1", Body: []byte("old")})
	died("old", "expired")
}

func getOne(connection *amqp.Connection) {
	channel := open(connection)
	own := queue(channel, nil)
	_, found, err := channel.Get(own, false)
	ok(err)
	equal(found, false)
	send(channel, own, "first", "second")
	first := get(channel, own, true)
	equal([]any{first.RoutingKey, first.MessageCount, first.Redelivered, string(first.Body)}, []any{own, uint32(1), false, "first"})
	equal(drain(channel, own), []string{"second"})
}

func cancel(connection *amqp.Connection) {
	channel := open(connection)
	ok(channel.Confirm(false))
	own := queue(channel, nil)
	equal(sendConfirmed(channel, own, "seen"), true)
	deliveries := consume(channel, own, false)
	seen := <-deliveries
	ok(seen.Ack(false))
	equal(ready(channel, own), [2]int{0, 1})
	ok(channel.Cancel(seen.ConsumerTag, false))
	_, more := <-deliveries
	equal(more, false)
	equal(sendConfirmed(channel, own, "kept"), true)
	equal(ready(channel, own), [2]int{1, 0})
}

func cancelNotify(connection *amqp.Connection) {
	channel := open(connection)
	own := queue(channel, nil)
	told := channel.NotifyCancel(make(chan string, 1))
	deliveries := must(channel.Consume(own, "told", false, false, false, false, nil))
	must(channel.QueueDelete(own, false, false, false))
	equal(<-told, "told")
	_, more := <-deliveries
	equal(more, false)
	equal(ready(channel, queue(channel, nil)), [2]int{0, 0})
}
