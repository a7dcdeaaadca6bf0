package main

import (
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

var routing = []scenario{
	{"queue-lifecycle", queueLifecycle},
	{"direct", direct},
	{"fanout", fanout},
	{"topic", topic},
	{"headers", headers},
	{"exchange-to-exchange", exchangeToExchange},
	{"alternate-exchange", alternateExchange},
}

func queueLifecycle(connection *amqp.Connection) {
	channel := open(connection)
	ok(channel.Confirm(false))
	named := must(channel.QueueDeclare("", false, false, true, false, nil)).Name
	equal(strings.HasPrefix(named, "amq.gen-"), true)
	for range 3 {
		equal(sendConfirmed(channel, named, "first"), true)
	}
	equal(ready(channel, named), [2]int{3, 0})
	equal(must(channel.QueuePurge(named, false)), 3)
	for range 2 {
		equal(sendConfirmed(channel, named, "second"), true)
	}
	equal(must(channel.QueueDelete(named, false, false, false)), 2)
}

func direct(connection *amqp.Connection) {
	channel := open(connection)
	colours := exchange(channel, "direct", nil)
	one, both := bound(channel, colours, nil, "red"), bound(channel, colours, nil, "red", "blue")
	for _, colour := range []string{"red", "blue", "green"} {
		publish(channel, colours, colour, text(colour))
	}
	equal(drain(channel, one), []string{"red"})
	equal(drain(channel, both), []string{"red", "blue"})
	ok(channel.QueueUnbind(both, "blue", colours, nil))
	publish(channel, colours, "blue", text("late"))
	equal(drain(channel, one), []string{})
	equal(drain(channel, both), []string{})
}

func fanout(connection *amqp.Connection) {
	channel := open(connection)
	news := exchange(channel, "fanout", nil)
	queues := []string{bound(channel, news, nil, ""), bound(channel, news, nil, "ignored")}
	publish(channel, news, "any", text("first"))
	publish(channel, news, "", text("second"))
	for _, queue := range queues {
		equal(drain(channel, queue), []string{"first", "second"})
	}
}

func topic(connection *amqp.Connection) {
	channel := open(connection)
	animals := exchange(channel, "topic", nil)
	sent := []string{"quick.orange.rabbit", "lazy.orange.elephant", "quick.brown.fox", "lazy", "lazy.pink.rabbit", ""}
	wanted := map[string][]string{
		"*.orange.*": {sent[0], sent[1]},
		"*.*.rabbit": {sent[0], sent[4]},
		"lazy.#":     {sent[1], sent[3], sent[4]},
		"#":          sent,
	}
	queues := map[string]string{}
	for pattern := range wanted {
		queues[pattern] = bound(channel, animals, nil, pattern)
	}
	for _, key := range sent {
		publish(channel, animals, key, text(key))
	}
	for pattern, keys := range wanted {
		equal(drain(channel, queues[pattern]), keys)
	}
}

func headers(connection *amqp.Connection) {
	channel := open(connection)
	documents := exchange(channel, "headers", nil)
	every := bound(channel, documents, amqp.Table{"x-match": "all", "format": "pdf", "type": "report"}, "")
	some := bound(channel, documents, amqp.Table{"x-match": "any", "format": "pdf", "type": "report"}, "")
	for body, sent := range map[string]amqp.Table{
		"both": {"format": "pdf", "type": "report"},
		"one":  {"format": "pdf", "type": "log"},
		"none": {"format": "zip"},
	} {
		publish(channel, documents, "", amqp.Publishing{Headers: sent, Body: []byte(body)})
	}
	equal(drain(channel, every), []string{"both"})
	got := map[string]bool{}
	for _, body := range drain(channel, some) {
		got[body] = true
	}
	equal(got, map[string]bool{"both": true, "one": true})
}

func exchangeToExchange(connection *amqp.Connection) {
	channel := open(connection)
	source, target := exchange(channel, "topic", nil), exchange(channel, "fanout", nil)
	audited := bound(channel, target, nil, "")
	bound(channel, source, nil, "kept.alive")
	ok(channel.ExchangeBind(target, "audit.#", source, false, nil))
	publish(channel, source, "audit.login", text("login"))
	publish(channel, source, "other", text("other"))
	equal(drain(channel, audited), []string{"login"})
	ok(channel.ExchangeUnbind(target, "audit.#", source, false, nil))
	publish(channel, source, "audit.login", text("late"))
	equal(drain(channel, audited), []string{})
}

func alternateExchange(connection *amqp.Connection) {
	channel := open(connection)
	ok(channel.Confirm(false))
	returns := channel.NotifyReturn(make(chan amqp.Return, 2))
	rest := exchange(channel, "fanout", nil)
	main := exchange(channel, "direct", amqp.Table{"alternate-exchange": rest})
	known, unrouted := bound(channel, main, nil, "known"), bound(channel, rest, nil, "")
	for _, key := range []string{"known", "unknown"} {
		equal(must(channel.PublishWithDeferredConfirm(main, key, true, false, text(key))).Wait(), true)
	}
	equal(drain(channel, known), []string{"known"})
	equal(drain(channel, unrouted), []string{"unknown"})
	equal(len(returns), 0)
}
