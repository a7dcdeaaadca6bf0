package main

import (
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

var publishing = []scenario{
	{"mandatory-return", mandatoryReturn},
	{"confirm", confirm},
	{"confirm-many", confirmMany},
	{"confirm-nack", confirmNack},
	{"tx", tx},
	{"direct-reply-to", directReplyTo},
}

func mandatoryReturn(connection *amqp.Connection) {
	channel := open(connection)
	ok(channel.Confirm(false))
	returns := channel.NotifyReturn(make(chan amqp.Return, 2))
	lost := amqp.Publishing{MessageId: "m-1", Body: []byte("lost")}
	equal(must(channel.PublishWithDeferredConfirm("amq.direct", "nowhere", true, false, lost)).Wait(), true)
	returned := <-returns
	equal([]any{returned.ReplyCode, returned.ReplyText, returned.Exchange, returned.RoutingKey, returned.MessageId, string(returned.Body)},
		[]any{uint16(amqp.NoRoute), "NO_ROUTE", "amq.direct", "nowhere", "m-1", "lost"})
	own := queue(channel, nil)
	equal(must(channel.PublishWithDeferredConfirm("", own, true, false, text("found"))).Wait(), true)
	equal(drain(channel, own), []string{"found"})
	equal(len(returns), 0)
}

func confirm(connection *amqp.Connection) {
	channel := open(connection)
	ok(channel.Confirm(false))
	own := queue(channel, nil)
	equal(sendConfirmed(channel, own, "sure"), true)
	equal(ready(channel, own), [2]int{1, 0})
}

func confirmMany(connection *amqp.Connection) {
	const many = 1000
	channel := open(connection)
	ok(channel.Confirm(false))
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, many))
	own := queue(channel, nil)
	wanted := []string{}
	for number := range many {
		wanted = append(wanted, strconv.Itoa(number))
	}
	send(channel, own, wanted...)
	for number := range many {
		equal(<-confirms, amqp.Confirmation{DeliveryTag: uint64(number + 1), Ack: true})
	}
	equal(ready(channel, own), [2]int{many, 0})
	equal(drain(channel, own), wanted)
}

func confirmNack(connection *amqp.Connection) {
	channel := open(connection)
	ok(channel.Confirm(false))
	full := queue(channel, amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	equal(sendConfirmed(channel, full, "fits"), true)
	equal(sendConfirmed(channel, full, "too many"), false)
	equal(drain(channel, full), []string{"fits"})
}

func tx(connection *amqp.Connection) {
	channel, other := open(connection), open(connection)
	own := queue(channel, nil)
	ok(channel.Tx())
	send(channel, own, "committed")
	equal(ready(other, own), [2]int{0, 0})
	ok(channel.TxCommit())
	equal(ready(other, own), [2]int{1, 0})
	send(channel, own, "rolled back")
	ok(channel.TxRollback())
	ok(channel.TxCommit())
	equal(ready(other, own), [2]int{1, 0})
	delivery := get(channel, own, false)
	ok(delivery.Ack(false))
	ok(channel.TxRollback())
	ok(delivery.Nack(false, true))
	ok(channel.TxCommit())
	equal(drain(other, own), []string{"committed"})
}

func directReplyTo(connection *amqp.Connection) {
	const replyTo = "amq.rabbitmq.reply-to"
	server, client := open(connection), open(connection)
	requests := queue(server, nil)
	replies := consume(client, replyTo, true)
	publish(client, "", requests, amqp.Publishing{ReplyTo: replyTo, CorrelationId: "c-7", Body: []byte("6*7")})
	request := <-consume(server, requests, true)
	equal(strings.SplitAfter(request.ReplyTo, replyTo+".")[0], replyTo+".")
	publish(server, "", request.ReplyTo, amqp.Publishing{CorrelationId: request.CorrelationId, Body: []byte("42")})
	reply := <-replies
	equal([]string{reply.CorrelationId, string(reply.Body)}, []string{"c-7", "42"})
}
