package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var connecting = []scenario{
	{"connect", connect},
	{"access-refused", accessRefused},
	{"many-channels", manyChannels},
	{"heartbeat", heartbeat},
	{"reconnect", reconnect},
	{"work-queue", workQueue},
}

func connect(connection *amqp.Connection) {
	for _, property := range []string{"product", "version"} {
		equal(connection.Properties[property].(string) != "", true)
	}
	capabilities := connection.Properties["capabilities"].(amqp.Table)
	for _, announced := range []string{
		"publisher_confirms", "consumer_cancel_notify", "basic.nack", "exchange_exchange_bindings", "authentication_failure_close",
	} {
		equal([]any{announced, capabilities[announced]}, []any{announced, true})
	}
	equal(connection.Config.ChannelMax > 0 && connection.Config.FrameSize > 0, true)
	ok(open(connection).Close())
	ok(connection.Close())
}

func accessRefused(*amqp.Connection) {
	wrong := strings.Replace(url, "guest:guest@", "guest:wrong@", 1)
	_, err := amqp.Dial(wrong)
	equal(err != nil && errors.Is(err, amqp.ErrCredentials), true)
}

func manyChannels(connection *amqp.Connection) {
	channels, queues := make([]*amqp.Channel, 200), make([]string, 200)
	for i := range channels {
		channels[i] = open(connection)
		queues[i] = queue(channels[i], nil)
	}
	for i, channel := range channels {
		send(channel, queues[i], strconv.Itoa(i))
	}
	for i, channel := range channels {
		equal(drain(channel, queues[i]), []string{strconv.Itoa(i)})
	}
}

func heartbeat(*amqp.Connection) {
	connection := dial(url, amqp.Config{Heartbeat: time.Second})
	defer connection.Close()
	equal(connection.Config.Heartbeat, time.Second)
	time.Sleep(4 * time.Second)
	goesOn(connection)
}

func reconnect(connection *amqp.Connection) {
	channel, kept := open(connection), name("kept")
	must(channel.QueueDeclare(kept, true, false, false, false, nil))
	send(channel, kept, "0", "1", "2", "3", "4")
	first, cut := dialCut()
	closes := first.NotifyClose(make(chan *amqp.Error, 1))
	through := open(first)
	deliveries := consume(through, kept, false)
	for i := range 5 {
		delivery := <-deliveries
		equal([]any{string(delivery.Body), delivery.Redelivered}, []any{strconv.Itoa(i), false})
		if i < 2 {
			ok(delivery.Ack(false))
		}
	}
	equal(ready(through, kept), [2]int{0, 1})
	cut()
	equal((<-closes).Code, 501)
	second := dial(url, amqp.Config{})
	deliveries = consume(open(second), kept, false)
	for i := 2; i < 5; i++ {
		delivery := <-deliveries
		equal([]any{string(delivery.Body), delivery.Redelivered}, []any{strconv.Itoa(i), true})
		ok(delivery.Ack(false))
	}
	ok(second.Close())
	equal(must(channel.QueueDelete(kept, false, false, false)), 0)
}

func workQueue(connection *amqp.Connection) {
	const all, workers, hold = 300, 3, 10
	service, queue, exchange := open(connection), name("billing"), name("orders")
	ok(service.ExchangeDeclare(exchange, "topic", true, false, false, false, nil))
	must(service.QueueDeclare(queue, true, false, false, false, nil))
	ok(service.QueueBind(queue, "order.#", exchange, false, nil))
	type bill struct {
		order       string
		redelivered bool
	}
	billed, ended := make(chan bill, 2*all), sync.WaitGroup{}
	stop := []func(){}
	for worker := range workers {
		connection, cut := dialCut()
		stop = append(stop, func() { connection.Close() })
		channel := open(connection)
		ok(channel.Qos(hold, 0, false))
		deliveries := consume(channel, queue, false)
		ended.Add(1)
		go func() {
			defer ended.Done()
			for count := 1; ; count++ {
				delivery, more := <-deliveries
				if !more {
					return
				}
				if worker == 0 && count == hold {
					cut()
					return
				}
				billed <- bill{string(delivery.Body), delivery.Redelivered}
				delivery.Ack(false)
			}
		}()
	}
	ok(service.Confirm(false))
	confirms := []*amqp.DeferredConfirmation{}
	for number := range all {
		order := amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(strconv.Itoa(number))}
		key := fmt.Sprintf("order.eu.%d", number)
		confirms = append(confirms, must(service.PublishWithDeferredConfirm(exchange, key, true, false, order)))
	}
	for _, confirm := range confirms {
		equal(confirm.Wait(), true)
	}
	seen, again := map[string]bool{}, 0
	for len(seen) < all {
		bill := <-billed
		seen[bill.order] = true
		if bill.redelivered {
			again++
		}
	}
	equal(again > 0, true)
	for _, close := range stop {
		close()
	}
	ended.Wait()
	equal(must(service.QueueDelete(queue, false, false, false)), 0)
	ok(service.ExchangeDelete(exchange, false, false))
}
