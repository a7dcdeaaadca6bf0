// The scenarios with amqp091-go. Prints a line for each; arguments limit the run to the scenarios they name.
package main

import (
	"fmt"
	"math/rand"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const patience = 20 * time.Second

var url = func() string {
	if set := os.Getenv("AMQP_URL"); set != "" {
		return set
	}
	return "amqp://guest:guest@127.0.0.1:5672/"
}()

type scenario struct {
	name string
	run  func(*amqp.Connection)
}

func main() {
	failed := false
	for _, s := range slices.Concat(routing, publishing, consuming, contents, closing, connecting) {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], s.name) {
			continue
		}
		if problem := attempt(s); problem != nil {
			failed = true
			fmt.Printf("FAIL %s: %s\n", s.name, strings.Join(strings.Fields(fmt.Sprint(problem)), " "))
		} else {
			fmt.Printf("PASS %s\n", s.name)
		}
	}
	if failed {
		os.Exit(1)
	}
}

// attempt runs a scenario on a connection of its own and gives what it panicked with, if it did.
func attempt(s scenario) any {
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		connection := dial(url, amqp.Config{})
		s.run(connection)
		if !connection.IsClosed() {
			ok(connection.Close())
		}
	}()
	select {
	case problem := <-ended:
		return problem
	case <-time.After(patience):
		return fmt.Sprintf("not done after %s", patience)
	}
}

func dial(url string, config amqp.Config) *amqp.Connection {
	return must(amqp.DialConfig(url, config))
}

// dialCut gives a connection and what drops its TCP connection without a word of AMQP.
func dialCut() (*amqp.Connection, func()) {
	var socket net.Conn
	connection := dial(url, amqp.Config{Dial: func(network, address string) (net.Conn, error) {
		var err error
		socket, err = amqp.DefaultDial(patience)(network, address)
		return socket, err
	}})
	return connection, func() { ok(socket.Close()) }
}

func open(connection *amqp.Connection) *amqp.Channel { return must(connection.Channel()) }

func name(suffix string) string {
	return fmt.Sprintf("interop.amqp091-go.%08x.%s", rand.Uint32(), suffix)
}

func exchange(channel *amqp.Channel, kind string, arguments amqp.Table) string {
	declared := name(kind)
	ok(channel.ExchangeDeclare(declared, kind, false, true, false, false, arguments))
	return declared
}

func queue(channel *amqp.Channel, arguments amqp.Table) string {
	return must(channel.QueueDeclare(name("queue"), false, false, true, false, arguments)).Name
}

func bound(channel *amqp.Channel, exchange string, arguments amqp.Table, keys ...string) string {
	declared := queue(channel, nil)
	for _, key := range keys {
		ok(channel.QueueBind(declared, key, exchange, false, arguments))
	}
	return declared
}

func publish(channel *amqp.Channel, exchange, key string, message amqp.Publishing) {
	ok(channel.Publish(exchange, key, false, false, message))
}

func text(body string) amqp.Publishing { return amqp.Publishing{Body: []byte(body)} }

func send(channel *amqp.Channel, queue string, bodies ...string) {
	for _, body := range bodies {
		publish(channel, "", queue, text(body))
	}
}

// sendConfirmed publishes on a channel in confirm mode and gives whether the broker acked.
func sendConfirmed(channel *amqp.Channel, queue, body string) bool {
	return must(channel.PublishWithDeferredConfirm("", queue, false, false, text(body))).Wait()
}

func get(channel *amqp.Channel, queue string, autoAck bool) amqp.Delivery {
	delivery, found, err := channel.Get(queue, autoAck)
	ok(err)
	equal(found, true)
	return delivery
}

func drain(channel *amqp.Channel, queue string) []string {
	bodies := []string{}
	for {
		delivery, found, err := channel.Get(queue, true)
		ok(err)
		if !found {
			return bodies
		}
		bodies = append(bodies, string(delivery.Body))
	}
}

func consume(channel *amqp.Channel, queue string, autoAck bool) <-chan amqp.Delivery {
	return must(channel.Consume(queue, "", autoAck, false, false, false, nil))
}

// ready gives the number of a queue's ready messages and of its consumers.
func ready(channel *amqp.Channel, queue string) [2]int {
	counted := must(channel.QueueDeclarePassive(queue, false, false, false, false, nil))
	return [2]int{counted.Messages, counted.Consumers}
}

// closed waits for the error that a channel or connection was closed with.
func closed(closes <-chan *amqp.Error, code int, text string) {
	refused(<-closes, code, text)
}

func refused(err error, code int, text string) {
	reason, is := err.(*amqp.Error)
	equal(is && reason != nil, true)
	equal([]any{reason.Code, reason.Reason}, []any{code, text})
}

func must[T any](value T, err error) T {
	ok(err)
	return value
}

func ok(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(seen, wanted any) {
	if !reflect.DeepEqual(seen, wanted) {
		panic(fmt.Sprintf("saw %.300s, not %.300s", fmt.Sprint(seen), fmt.Sprint(wanted)))
	}
}
