package main

import (
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

var closing = []scenario{
	{"error-403", error403},
	{"error-404", error404},
	{"error-405", error405},
	{"error-406", error406},
	{"error-530", error530},
	{"error-540", error540},
}

// goesOn checks that a connection survived the close of one of its channels.
func goesOn(connection *amqp.Connection) {
	channel := open(connection)
	own := queue(channel, nil)
	send(channel, own, "after")
	equal(drain(channel, own), []string{"after"})
}

func error403(connection *amqp.Connection) {
	reserved := "amq." + name("queue")
	_, err := open(connection).QueueDeclare(reserved, false, false, false, false, nil)
	refused(err, 403, fmt.Sprintf("ACCESS_REFUSED - queue name '%s' contains reserved prefix 'amq.*'", reserved))
	goesOn(connection)
}

func error404(connection *amqp.Connection) {
	missing := name("missing")
	_, err := open(connection).QueueDeclarePassive(missing, false, false, false, false, nil)
	refused(err, 404, fmt.Sprintf("NOT_FOUND - no queue '%s' in vhost '/'", missing))
	goesOn(connection)
	channel := open(connection)
	closes := channel.NotifyClose(make(chan *amqp.Error, 1))
	publish(channel, missing, "", text("lost"))
	closed(closes, 404, fmt.Sprintf("NOT_FOUND - no exchange '%s' in vhost '/'", missing))
	goesOn(connection)
}

func error405(connection *amqp.Connection) {
	owner := dial(url, amqp.Config{})
	defer owner.Close()
	locked := queue(open(owner), nil)
	_, err := open(connection).QueueDeclarePassive(locked, false, false, false, false, nil)
	refused(err, 405, fmt.Sprintf("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s' in vhost '/'. It could be originally "+
		"declared on another connection or the exclusive property value does not match that of the original declaration.", locked))
	goesOn(connection)
}

func error406(connection *amqp.Connection) {
	durable := name("durable")
	must(open(connection).QueueDeclare(durable, true, false, false, false, nil))
	_, err := open(connection).QueueDeclare(durable, false, false, false, false, nil)
	refused(err, 406, fmt.Sprintf("PRECONDITION_FAILED - inequivalent arg 'durable' for queue '%s' in vhost '/': "+
		"received 'false' but current is 'true'", durable))
	must(open(connection).QueueDelete(durable, false, false, false))
	goesOn(connection)
	channel := open(connection)
	closes := channel.NotifyClose(make(chan *amqp.Error, 1))
	ok(channel.Ack(99, false))
	closed(closes, 406, "PRECONDITION_FAILED - unknown delivery tag 99")
	goesOn(connection)
}

func error530(connection *amqp.Connection) {
	channel := open(connection)
	closes := connection.NotifyClose(make(chan *amqp.Error, 1))
	own := queue(channel, nil)
	must(channel.Consume(own, "twice", false, false, false, false, nil))
	_, err := channel.Consume(own, "twice", false, false, false, false, nil)
	equal(err != nil, true)
	closed(closes, 530, "NOT_ALLOWED - attempt to reuse consumer tag 'twice'")
	ok(dial(url, amqp.Config{}).Close())
}

func error540(connection *amqp.Connection) {
	closes := connection.NotifyClose(make(chan *amqp.Error, 1))
	equal(open(connection).Recover(false) != nil, true)
	closed(closes, 540, "NOT_IMPLEMENTED - requeue=false")
	ok(dial(url, amqp.Config{}).Close())
}
