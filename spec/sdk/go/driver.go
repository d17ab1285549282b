// centrifuge-go, driven line by line: spec/support/sdk.lua says what the lines are.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

type fields map[string]any

type step struct {
	Do       string
	URL      string
	Token    string
	Ticket   string
	Protobuf bool
	Channel  string
	Method   string
	ID       int
	Limit    int32
	Reverse  bool
	Since    *centrifuge.StreamPosition
	Data     json.RawMessage
}

var (
	output  sync.Mutex
	lock    sync.Mutex
	token   string
	tickets = map[string]string{}
	client  *centrifuge.Client
)

func tell(on string, what fields) {
	output.Lock()
	defer output.Unlock()
	what["on"] = on
	line, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

// The data of an empty frame is no JSON.
func raw(data []byte) json.RawMessage {
	if len(data) == 0 {
		return json.RawMessage("null")
	}
	return data
}

func answer(id int, what fields, err error) {
	var refused *centrifuge.Error
	if errors.As(err, &refused) {
		tell("error", fields{"id": id, "code": refused.Code, "message": refused.Message})
	} else if err != nil {
		tell("error", fields{"id": id, "code": 0, "message": err.Error()})
	} else {
		what["id"] = id
		tell("answer", what)
	}
}

func currentToken(centrifuge.ConnectionTokenEvent) (string, error) {
	tell("token_asked", fields{})
	lock.Lock()
	defer lock.Unlock()
	return token, nil
}

func connect(s step) error {
	token = s.Token
	config := centrifuge.Config{Token: token, MinReconnectDelay: 50 * time.Millisecond,
		MaxReconnectDelay: 500 * time.Millisecond}
	if token != "" {
		config.GetToken = currentToken
	}
	if s.Protobuf {
		client = centrifuge.NewProtobufClient(s.URL, config)
	} else {
		client = centrifuge.NewJsonClient(s.URL, config)
	}
	client.OnConnecting(func(e centrifuge.ConnectingEvent) {
		tell("connecting", fields{"code": e.Code, "reason": e.Reason})
	})
	client.OnConnected(func(e centrifuge.ConnectedEvent) {
		tell("connected", fields{"data": raw(e.Data)})
	})
	client.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		tell("disconnected", fields{"code": e.Code, "reason": e.Reason})
	})
	client.OnSubscribed(func(e centrifuge.ServerSubscribedEvent) {
		tell("server_subscribed", fields{"channel": e.Channel, "data": raw(e.Data), "recovered": e.Recovered})
	})
	client.OnPublication(func(e centrifuge.ServerPublicationEvent) {
		tell("server_publication", fields{"channel": e.Channel, "data": raw(e.Data), "offset": e.Offset})
	})
	return client.Connect()
}

func setTicket(s step) {
	lock.Lock()
	defer lock.Unlock()
	tickets[s.Channel] = s.Ticket
}

func currentTicket(e centrifuge.SubscriptionTokenEvent) (string, error) {
	tell("ticket_asked", fields{"channel": e.Channel})
	lock.Lock()
	defer lock.Unlock()
	return tickets[e.Channel], nil
}

func subscribe(s step) error {
	channel := s.Channel
	config := centrifuge.SubscriptionConfig{
		MinResubscribeDelay: 50 * time.Millisecond, MaxResubscribeDelay: 500 * time.Millisecond}
	if s.Ticket != "" {
		setTicket(s)
		config.Token, config.GetToken = s.Ticket, currentTicket
	}
	if known, ok := client.GetSubscription(channel); ok {
		return known.Subscribe()
	}
	sub, err := client.NewSubscription(channel, config)
	if err != nil {
		return err
	}
	sub.OnSubscribing(func(e centrifuge.SubscribingEvent) {
		tell("subscribing", fields{"channel": channel, "code": e.Code, "reason": e.Reason})
	})
	sub.OnSubscribed(func(e centrifuge.SubscribedEvent) {
		what := fields{"channel": channel, "data": raw(e.Data), "recovered": e.Recovered,
			"was_recovering": e.WasRecovering}
		if e.StreamPosition != nil {
			what["epoch"], what["offset"] = e.StreamPosition.Epoch, e.StreamPosition.Offset
		}
		tell("subscribed", what)
	})
	sub.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) {
		tell("unsubscribed", fields{"channel": channel, "code": e.Code, "reason": e.Reason})
	})
	sub.OnPublication(func(e centrifuge.PublicationEvent) {
		tell("publication", fields{"channel": channel, "data": raw(e.Data), "offset": e.Offset})
	})
	sub.OnError(func(e centrifuge.SubscriptionErrorEvent) {
		tell("sub_error", fields{"channel": channel, "message": e.Error.Error()})
	})
	return sub.Subscribe()
}

func history(s step) {
	options := []centrifuge.HistoryOption{
		centrifuge.WithHistoryLimit(s.Limit), centrifuge.WithHistoryReverse(s.Reverse),
	}
	if s.Since != nil {
		options = append(options, centrifuge.WithHistorySince(s.Since))
	}
	result, err := client.History(context.Background(), s.Channel, options...)
	found := []fields{}
	for _, one := range result.Publications {
		found = append(found, fields{"data": raw(one.Data), "offset": one.Offset})
	}
	answer(s.ID, fields{"data": found, "offset": result.Offset, "epoch": result.Epoch}, err)
}

func act(s step) error {
	switch s.Do {
	case "connect":
		return connect(s)
	case "token":
		lock.Lock()
		defer lock.Unlock()
		token = s.Token
	case "ticket":
		setTicket(s)
	case "subscribe":
		return subscribe(s)
	case "unsubscribe":
		sub, _ := client.GetSubscription(s.Channel)
		return sub.Unsubscribe()
	case "publish":
		go func() {
			_, err := client.Publish(context.Background(), s.Channel, s.Data)
			answer(s.ID, fields{}, err)
		}()
	case "rpc":
		go func() {
			result, err := client.RPC(context.Background(), s.Method, s.Data)
			answer(s.ID, fields{"data": raw(result.Data)}, err)
		}()
	case "history":
		go history(s)
	case "disconnect":
		return client.Disconnect()
	}
	return nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			panic(err)
		}
		if err := act(s); err != nil {
			tell("error", fields{"id": s.ID, "code": 0, "message": err.Error()})
		}
	}
}
