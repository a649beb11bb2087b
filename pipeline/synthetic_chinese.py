"""The words of the synthetic conversations in Chinese; see `Language` for what each table means."""

from pipeline.synthetic_world import ORDERS, PRICES, Language

CHINESE = Language(
    slots={
        "city": ("北京", "上海", "成都", "广州", "西安", "杭州", "东京", "巴黎", "昆明", "厦门", "哈尔滨"),
        "product": ("水壶", "背包", "行李箱", "相机", "手机", "帐篷", "外套", "耳机", "台灯", "平板"),
        "color": ("红色", "蓝色", "黑色", "白色", "绿色", "灰色", "黄色"),
        "brand": ("北木", "远帆", "青禾", "花火", "山石", "明叶"),
        "hotel": ("海港酒店", "云杉大酒店", "莲花宾馆", "老磨坊客栈", "车站广场酒店", "观海山庄"),
        "airline": ("晨光航空", "蓝天航空", "远洋航空", "雄鹰航空"),
        "date": ("明天", "周五", "下周一", "五月三号", "这个周末", "除夕"),
        "nights": ("两", "三", "四", "五", "十"),
        "price": PRICES,
        "currency": ("元", "块钱", "块", "人民币"),
        "order": ORDERS,
    },
    clauses={
        "greet": ("你好", "您好", "早上好", "晚上好", "嗨", "你好，很高兴认识你"),
        "thank": ("谢谢", "非常感谢", "太感谢了", "谢谢你的帮忙", "多谢", "麻烦你了，谢谢"),
        "goodbye": ("再见", "拜拜", "祝你今天愉快", "回头见", "下次再聊", "那先这样，再见"),
        "inform_budget": (
            "我的预算是{price}{currency}", "我最多花{price}{currency}", "价格要在{price}{currency}以内",
            "我手头有{price}{currency}可以花", "超过{price}{currency}我就不考虑了",
        ),
        "request_price": (
            "{color}的{product}多少钱", "{brand}的{product}卖什么价", "能告诉我{product}的价格吗",
            "买一个{color}{product}要花多少", "{brand}{product}现在打折吗，折后多少钱",
        ),
        "compare": (
            "帮我比较一下{product}和{product2}", "{brand}和{brand2}的{product}哪个更好",
            "{color}{product}和{color2}的有什么不同", "{brand}的{product}跟{brand2}的差别在哪里",
        ),
        "select_item": (
            "我要那个{color}的{product}", "我想买{brand}的{product}", "把{color}{product}放进购物车",
            "就买{brand}家的{product}",
        ),
        "book_hotel": (
            "我要在{city}订酒店住{nights}晚", "请帮我订{city}{hotel}的房间", "能帮我找个{date}在{city}住的地方吗",
            "我们{date}想住{hotel}", "{city}{date}还有双人间吗",
        ),
        "book_flight": (
            "我想{date}飞{city}", "帮我订一张从{city}到{city2}的机票", "我需要{date}去{city}的飞机票",
            "{date}有{airline}去{city}的航班吗", "给我买{date}{city}飞{city2}的票",
        ),
        "cancel": (
            "请取消订单{order}", "把{hotel}的预订取消掉", "去{city}的行程我不去了，帮我取消",
            "我改主意了，{product}不要了，取消吧", "订单{order}还没发货的话帮我撤掉",
        ),
        "request_refund": (
            "{product}我要退款", "请把订单{order}的钱退给我", "收到的{product}是坏的，我想退款",
            "订单{order}扣了两次钱，退我一次", "{color}{product}怎么申请退款",
        ),
        "track_order": (
            "我的订单{order}到哪了", "我的{product}发货了吗", "订单{order}什么时候送到",
            "帮我查一下{color}{product}的物流", "订单{order}的包裹迟到了，现在在哪里",
        ),
    },
    openers={
        "affirm": ("是的", "对", "没错", "好的", "当然"),
        "negate": ("不是", "不对", "不，不是这个", "并不是", "不要"),
    },
    chatter=(
        "嗯，让我想想", "等一下", "我正在坐地铁", "不好意思，狗在叫", "我看看", "稍等", "这个嘛", "今天天气真好",
    ),
    joiners=("，", "。", "，另外", "，还有", " "),
    endings=("", "", "。", "！", "~"),
    replies={
        "yes": ("是的", "好的", "可以，就这么办", "嗯嗯", "行", "没问题", "那就麻烦你了", "好啊"),
        "no": ("不", "不要了", "不用", "算了吧", "不想", "还是不了"),
        "pick": ("那就第二个吧", "便宜的那个", "第一个", "要另一个", "就这个吧", "你先说的那个", "好一点的那个"),
        "number": ("500", "是200", "120", "800吧", "300", "应该是150"),
        "date": ("明天", "周五", "上周", "五月三号", "应该是周一", "周末"),
        "place": ("巴黎", "去成都", "上海吧", "应该是西安", "在昆明", "是北京"),
        "another": ("那另一个呢？", "第二个呢？", "给我朋友也来一样的", "再来一个", "同样的再办一次", "下一个也这样"),
    },
    prompts={
        "yes": {
            "book_flight": ("要帮您订{airline}去{city}的航班吗？", "去{city}的机票现在出票吗？"),
            "book_hotel": ("要帮您预订{hotel}的房间吗？", "{city}的酒店住{nights}晚，订吗？"),
            "cancel": ("需要我取消订单{order}吗？", "那去{city}的行程就撤销了？"),
            "compare": ("要把{product}和{product2}放在一起对比吗？", "要看看两个牌子的比较吗？"),
            "request_refund": ("要为订单{order}办理退款吗？", "{product}的钱要退给您吗？"),
            "track_order": ("要查一下订单{order}到哪了吗？", "需要看包裹的物流吗？"),
        },
        "no": {
            "keep_booking": ("{hotel}的预订您还保留吗？", "订单{order}您还要吗？"),
            "keep_purchase": ("{product}您愿意留下吗？", "{product}的付款就这样不动，可以吗？"),
            "offer": ("要给{product}加一份保修吗？", "要再看看{color}的{product}吗？"),
        },
        "pick": {
            "book_flight": ("去{city}有两个航班，订哪个？", "{airline}和{airline2}，坐哪家的飞机？"),
            "book_hotel": ("{city}有两家酒店有房，订哪家？", "{hotel}和{hotel2}，您想住哪个？"),
            "cancel": ("您有订单{order}和{order2}，取消哪个？", "两个里要撤掉哪一个？"),
            "compare": ("{brand}和{brand2}的{product}都有货，您要哪个？",),
            "request_refund": ("两个订单里要退哪个的款？", "哪个{product}要退钱？"),
            "track_order": ("您要查哪个包裹的物流？", "订单{order}和{order2}，查哪个的配送？"),
        },
        "number": {
            "budget": ("您打算花多少？", "您的预算是多少{currency}？"),
            "cancel": ("要取消的订单尾号是多少？", "请问取消哪个订单号？"),
            "request_refund": ("要退款的订单号是多少？", "请问退哪一张发票？"),
            "track_order": ("您在等的包裹单号是多少？", "请问要查哪个订单号的物流？"),
        },
        "date": {
            "book_flight": ("您想哪天飞？", "机票要哪一天的？"),
            "book_hotel": ("房间从哪天开始住？", "您哪天入住{hotel}？"),
            "track_order": ("您在等的订单是哪天下的？", "包裹本来哪天该到？"),
        },
        "place": {
            "book_flight": ("您想飞哪里？", "{airline}的票到哪个机场？"),
            "book_hotel": ("您要哪个城市的酒店？", "这{nights}晚您想住在哪里？"),
            "track_order": ("订单{order}应该送到哪个城市？", "包裹寄到哪里的？"),
        },
        "another": {
            "book_flight": ("去{city}的{airline}航班已经订好。", "您去{city}的机票已出。"),
            "book_hotel": ("{hotel}的房间订好了。", "{city}的酒店{date}恭候您。"),
            "cancel": ("订单{order}已取消。", "去{city}的行程已经撤销。"),
            "request_price": ("{color}的{product}是{price}{currency}。", "{brand}的{product}卖{price}{currency}。"),
            "request_refund": ("订单{order}的退款已经在路上。", "会退给您{price}{currency}。"),
            "track_order": ("订单{order}昨天出库了。", "您的{product}正在派送。"),
        },
    },
    neutral_prompts={
        "yes": ("现在就办吗？", "您是这个意思吗？", "我理解得对吗？"),
        "pick": ("我找到两个，您说的是哪个？", "有两个，一个{price}，一个{price2}，哪个？"),
        "another": ("办好了。", "好了，还需要什么？", "都弄好了，还有别的吗？"),
    },
    acknowledgements=(
        "好的，请稍等。", "我帮您看一下。", "明白。", "嗯，了解。", "记下了。", "感谢您的耐心。",
        "收到，还有什么可以帮您？",
    ),
    welcomes=("欢迎来到远行小铺，有什么可以帮您？", "您好，这里是远行小铺。", "您好！请讲。"),
    farewells=("不客气，祝您愉快！", "应该的，再见。", "感谢光临远行小铺。"),
    misspellings={"在": "再", "的": "得", "吗": "嘛", "帮": "邦", "订": "定", "账": "帐", "那": "哪", "买": "卖"},
)
