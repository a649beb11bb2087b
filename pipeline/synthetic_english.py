"""The words of the synthetic conversations in English; see `Language` for what each table means."""

from pipeline.synthetic_world import ORDERS, PRICES, Language

ENGLISH = Language(
    slots={
        "city": (
            "Paris", "Tokyo", "Beijing", "Lisbon", "Cairo", "Lima", "Oslo", "Sydney", "Rome", "Mumbai", "Toronto",
        ),
        "product": (
            "kettle", "backpack", "suitcase", "camera", "phone", "tent", "jacket", "headset", "lamp", "tablet",
        ),
        "color": ("red", "blue", "black", "white", "green", "grey", "yellow"),
        "brand": ("Norvik", "Altamar", "Quince", "Hanabi", "Tolda", "Brightleaf"),
        "hotel": ("Harbour Inn", "Grand Cedar", "Lotus House", "Old Mill Hotel", "Station Plaza", "Seaview Lodge"),
        "airline": ("Aurora Air", "BlueJet", "Pacific Wings", "Condorline"),
        "date": ("tomorrow", "on Friday", "next Monday", "on the 3rd of May", "this weekend", "on Christmas Eve"),
        "nights": ("two", "three", "four", "five", "ten"),
        "price": PRICES,
        "currency": ("dollars", "euros", "pounds", "bucks"),
        "order": ORDERS,
    },
    clauses={
        "greet": ("hi", "hello there", "hey", "good morning", "good evening", "hello, nice to meet you"),
        "thank": (
            "thanks", "thank you so much", "thanks a lot", "many thanks for your help", "much appreciated",
            "that was kind of you, thank you",
        ),
        "goodbye": ("bye", "goodbye", "have a nice day", "see you", "talk to you later", "bye for now"),
        "inform_budget": (
            "my budget is {price} {currency}", "I can spend {price} {currency} at most",
            "it should stay under {price} {currency}", "I have {price} {currency} to spend",
            "I don't want to pay more than {price} {currency}",
        ),
        "request_price": (
            "how much is the {color} {product}", "what does the {brand} {product} cost",
            "can you tell me the price of the {product}", "what would I pay for a {color} {product}",
            "is the {product} from {brand} on sale, and for how much",
        ),
        "compare": (
            "can you compare the {product} with the {product2}", "which {product} is better, {brand} or {brand2}",
            "how does the {color} {product} differ from the {color2} one",
            "what is the difference between the {brand} {product} and the {brand2} one",
        ),
        "select_item": (
            "I'll take the {color} {product}", "I want to buy the {brand} {product}",
            "put the {color} {product} into my basket", "let's go with the {product} from {brand}",
        ),
        "book_hotel": (
            "I need a hotel in {city} for {nights} nights", "please book me a room at the {hotel} in {city}",
            "can you find me somewhere to stay in {city} {date}", "we want to stay at the {hotel} {date}",
            "is there a free double room in {city} {date}",
        ),
        "book_flight": (
            "I'd like to fly to {city} {date}", "book me a flight from {city} to {city2}",
            "I need a plane ticket to {city} {date}", "is there an {airline} flight to {city} {date}",
            "get me on a plane from {city} to {city2} {date}",
        ),
        "cancel": (
            "please cancel order {order}", "cancel my reservation at the {hotel}",
            "I want to call off my trip to {city}", "I changed my mind, cancel the {product}",
            "can you stop order {order} before it ships",
        ),
        "request_refund": (
            "I want my money back for the {product}", "please refund order {order}",
            "the {product} arrived broken, I'd like a refund",
            "you charged me twice for order {order}, pay it back",
            "how do I get a refund for the {color} {product}",
        ),
        "track_order": (
            "where is my order {order}", "has my {product} been shipped yet", "when will order {order} arrive",
            "can you check the delivery of my {color} {product}",
            "the parcel for order {order} is late, where is it",
        ),
    },
    openers={
        "affirm": ("yes", "yes, right", "sure", "of course", "correct"),
        "negate": ("no", "not really", "no, that's wrong", "nope", "no, not that"),
    },
    chatter=(
        "hmm, let me think", "one second", "I am on the train right now", "my dog is barking, sorry", "let me see",
        "wait a moment", "well", "the weather is lovely here",
    ),
    joiners=(", ", ". ", " and ", ", also ", " - "),
    endings=("", "", ".", "!", "..."),
    replies={
        "yes": (
            "yes please", "Yes", "sure, go ahead", "ok do that", "sounds good", "yeah", "that works for me",
            "please do",
        ),
        "no": ("no", "No, I don't", "rather not", "nope", "not any more", "no way"),
        "pick": (
            "the second one", "the cheaper one", "the first one please", "I'll take the other one", "that one",
            "the one you named first", "the better one",
        ),
        "number": ("500", "it's 200", "120", "800 I think", "300", "that would be 150"),
        "date": ("tomorrow", "on Friday", "last week", "the 3rd of May", "Monday I think", "on the weekend"),
        "place": ("Paris", "to Lisbon", "Tokyo please", "Rome I think", "in Cairo", "it's Beijing"),
        "another": (
            "and the other one?", "what about the second one?", "the same for my friend please", "one more please",
            "again please", "can you do that for the next one too?",
        ),
    },
    prompts={
        "yes": {
            "book_flight": (
                "Shall I book the {airline} flight to {city}?", "Do you want that seat on the plane to {city}?",
            ),
            "book_hotel": (
                "Shall I reserve the room at the {hotel}?", "Do you want the hotel in {city} for {nights} nights?",
            ),
            "cancel": ("Do you want me to cancel order {order}?", "So I call off your trip to {city}?"),
            "compare": (
                "Shall I put the {product} and the {product2} side by side?",
                "Do you want a comparison of both brands?",
            ),
            "request_refund": (
                "Shall I start the refund of order {order}?", "Do you want your money back for the {product}?",
            ),
            "track_order": ("Shall I look up where order {order} is?", "Do you want to know where your parcel is?"),
        },
        "no": {
            "keep_booking": (
                "Do you still want to keep your reservation at the {hotel}?", "Do you still need order {order}?",
            ),
            "keep_purchase": (
                "Are you happy to keep the {product}?", "Or shall we leave the payment for {product} as it is?",
            ),
            "offer": ("Do you need a warranty for the {product}?", "May I show you our {color} {product} as well?"),
        },
        "pick": {
            "book_flight": (
                "There are two flights to {city}. Which one shall I book?",
                "{airline} or {airline2}: which flight?",
            ),
            "book_hotel": (
                "Two hotels in {city} have rooms. Which one?", "The {hotel} or the {hotel2}: where shall I book?",
            ),
            "cancel": (
                "You have orders {order} and {order2}. Which one shall I cancel?",
                "Which of the two shall I call off?",
            ),
            "compare": ("The {brand} {product} and the {brand2} one are in stock. Which one would you like?",),
            "request_refund": (
                "Which of your two orders do you want refunded?", "For which {product} do you want money back?",
            ),
            "track_order": (
                "Which of your parcels shall I trace?", "Order {order} or {order2}: which delivery shall I check?",
            ),
        },
        "number": {
            "budget": ("How much do you want to spend?", "What is your budget in {currency}?"),
            "cancel": ("What are the last digits of the order to cancel?", "Which order number shall I cancel?"),
            "request_refund": ("What is the number of the order to refund?", "Which invoice shall I pay back?"),
            "track_order": (
                "What is the number of the parcel you are waiting for?", "Which order number shall I trace?",
            ),
        },
        "date": {
            "book_flight": ("When would you like to fly?", "On what day shall the plane leave?"),
            "book_hotel": ("From when do you need the room?", "When do you check in at the {hotel}?"),
            "track_order": ("When did you place the order you are waiting for?", "When was the parcel due?"),
        },
        "place": {
            "book_flight": ("Where do you want to fly?", "Which airport shall the {airline} ticket be for?"),
            "book_hotel": ("In which city do you need the hotel?", "Where do you want to stay for {nights} nights?"),
            "track_order": ("To which city should order {order} have been delivered?", "Where was your parcel sent?"),
        },
        "another": {
            "book_flight": ("Your {airline} flight to {city} is booked.", "You have a seat on the plane to {city}."),
            "book_hotel": ("Your room at the {hotel} is booked.", "The hotel in {city} expects you {date}."),
            "cancel": ("Order {order} is cancelled.", "I have called off your trip to {city}."),
            "request_price": (
                "The {color} {product} costs {price} {currency}.", "The {brand} {product} is {price} {currency}.",
            ),
            "request_refund": ("The refund for order {order} is on its way.", "You get {price} {currency} back."),
            "track_order": ("Order {order} left the warehouse yesterday.", "Your {product} is on the truck."),
        },
    },
    neutral_prompts={
        "yes": ("Shall I do it now?", "Is that what you want?", "Did I get that right?"),
        "pick": (
            "I found two. Which one do you mean?",
            "There are two, one for {price} and one for {price2}. Which one?",
        ),
        "another": ("Done.", "That's done. Anything else?", "All set, what else can I do?"),
    },
    acknowledgements=(
        "Certainly, one moment please.", "Let me check that for you.", "I see.", "All right.", "Noted.",
        "Thank you for your patience.", "Understood, what else can I do for you?",
    ),
    welcomes=(
        "Welcome to Wayfarer's, how can I help?", "Hello, this is the Wayfarer's desk.",
        "Good day! What can I do for you?",
    ),
    farewells=("You're welcome. Have a nice day!", "My pleasure, goodbye.", "Thank you for choosing Wayfarer's."),
)
