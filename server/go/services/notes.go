package services

import (
	"container/list"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	pb "calculator/proto/routeguide/routeguidepb"
	"calculator/server/domain"
)

// The limits of stored notes: the latest places, the latest notes per place, and the size of a note. Without them, the
// server would run out of memory.
const (
	maxPlaces        = 1000
	maxNotesPerPlace = 100
	maxNoteBytes     = 1000
)

// notes are the latest notes of all chats.
type notes struct {
	mutex   sync.Mutex
	byPlace map[domain.Place]*list.Element // of byUse
	byUse   *list.List                     // of *placeNotes, the latest used one last
}

type placeNotes struct {
	place domain.Place
	notes []*pb.RouteNote
}

func newNotes() *notes {
	return &notes{byPlace: map[domain.Place]*list.Element{}, byUse: list.New()}
}

// exchange returns the previous notes at the place of a note, and stores the note. The error is TooLong.
func (n *notes) exchange(note *pb.RouteNote) ([]*pb.RouteNote, error) {
	if size := proto.Size(note); size > maxNoteBytes {
		return nil, &domain.Error{
			Reason:  domain.TooLong,
			Field:   "message",
			Message: fmt.Sprintf("the note has %d bytes; accepted: %d", size, maxNoteBytes),
		}
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	stored := n.at(placeOf(note.Location))
	before := slices.Clone(stored.notes)
	stored.notes = append(stored.notes, note)
	if len(stored.notes) > maxNotesPerPlace {
		stored.notes = slices.Delete(stored.notes, 0, 1)
	}
	return before, nil
}

// at returns the notes of a place, which becomes the latest used one. The least recently used one may be forgotten.
func (n *notes) at(place domain.Place) *placeNotes {
	element, ok := n.byPlace[place]
	if !ok {
		element = n.byUse.PushBack(&placeNotes{place: place})
		n.byPlace[place] = element
	}
	n.byUse.MoveToBack(element)
	if oldest := n.byUse.Front(); n.byUse.Len() > maxPlaces {
		delete(n.byPlace, oldest.Value.(*placeNotes).place)
		n.byUse.Remove(oldest)
	}
	return element.Value.(*placeNotes)
}
