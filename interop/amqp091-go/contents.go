package main

import (
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var contents = []scenario{
	{"properties", properties},
	{"header-types", headerTypes},
	{"body-empty", bodyEmpty},
	{"body-large", bodyLarge},
}

func properties(connection *amqp.Connection) {
	channel := open(connection)
	own := queue(channel, nil)
	sent := amqp.Publishing{
		Headers: amqp.Table{"k": "v"}, ContentType: "application/json", ContentEncoding: "gzip", DeliveryMode: amqp.Persistent, Priority: 7,
		CorrelationId: "c", ReplyTo: "r", Expiration: "60000", MessageId: "m", Timestamp: time.Unix(1709209815, 0), Type: "t",
		UserId: "guest", AppId: "a", Body: []byte{},
	}
	publish(channel, "", own, sent)
	got := get(channel, own, true)
	equal(got.Timestamp.Unix(), sent.Timestamp.Unix())
	equal(amqp.Publishing{
		Headers: got.Headers, ContentType: got.ContentType, ContentEncoding: got.ContentEncoding, DeliveryMode: got.DeliveryMode,
		Priority: got.Priority, CorrelationId: got.CorrelationId, ReplyTo: got.ReplyTo, Expiration: got.Expiration,
		MessageId: got.MessageId, Timestamp: sent.Timestamp, Type: got.Type, UserId: got.UserId, AppId: got.AppId, Body: got.Body,
	}, sent)
}

func headerTypes(connection *amqp.Connection) {
	channel := open(connection)
	own := queue(channel, nil)
	at := time.Date(2024, 2, 29, 12, 30, 15, 0, time.UTC)
	sent := amqp.Table{
		"bool": true, "uint8": byte(200), "int8": int8(-100), "int16": int16(-30000), "uint16": uint16(60000), "int32": int32(-1 << 31),
		"uint32": uint32(1<<32 - 1), "int64": int64(-1 << 62), "float32": float32(1.5), "float64": 0.1,
		"decimal": amqp.Decimal{Scale: 2, Value: 314}, "string": "grüße", "empty": "", "bytes": []byte{0, 255, 254}, "nil": nil,
		"array": []any{int32(1), "two", []any{false, nil}, amqp.Table{"three": int8(3)}},
		"table": amqp.Table{"inner": amqp.Table{"deep": []any{[]byte{128}, int64(1 << 40)}}, "nothing": amqp.Table{}},
		"time":  at,
	}
	publish(channel, "", own, amqp.Publishing{Headers: sent})
	received := get(channel, own, true).Headers
	equal(received["time"].(time.Time).Equal(at), true)
	received["time"] = at
	equal(received, sent)
}

func bodyEmpty(connection *amqp.Connection) {
	channel := open(connection)
	own := queue(channel, nil)
	send(channel, own, "before", "", "after")
	equal(drain(channel, own), []string{"before", "", "after"})
}

func bodyLarge(connection *amqp.Connection) {
	channel := open(connection)
	own := queue(channel, nil)
	large := make([]byte, 5<<20+1)
	for i := range large {
		large[i] = byte(i % 251)
	}
	send(channel, own, string(large), string(large))
	equal(string(get(channel, own, true).Body) == string(large), true)
	delivery := <-consume(channel, own, true)
	equal(string(delivery.Body) == string(large), true)
}
