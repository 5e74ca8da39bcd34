// What the panel itself says; what the company says comes from the knowledge base.
const WORDS = {
  zh: {
    lang: 'zh-CN', title: '在线客服', close: '关闭', person: '转人工', send: '发送', log: '对话内容',
    ask: '输入您的问题', placeholder: '请输入您的问题…', robot: '智能客服', agent: '人工客服', you: '我',
    connecting: '正在连接…', offline: '网络已断开，恢复后会自动发送', slow: '消息太快了，稍后自动发送',
    expired: '登录已过期，请刷新页面', closed: '会话已结束，再次提问会重新开始', waiting: '排队中',
    ahead: (n, s) => (n ? `前面还有 ${n} 位` : '马上轮到您') + (s == null ? '' : `，约 ${Math.max(1, Math.round(s / 60))} 分钟`),
    events: { queued: '正在等待人工客服', agent: '人工客服已接入', closed: '会话已结束', bot: '智能客服继续为您服务' },
    earlier: '以上是登录前的对话', quick: '常见问题', related: '相关问题', none: '都不是', choose: '请选择', maybe: '您可能想问',
    helped: '这个回答有帮助吗？', yes: '有帮助', no: '没帮助', thanks: '感谢您的反馈', sorry: '抱歉没帮上忙，需要人工客服吗？',
    leave: '填写留言', submit: '提交留言', cancel: '取消', required: '（必填）', opens: (at) => `人工客服 ${at} 上班`,
    rate: '请为本次服务评分', stars: (n) => `${n} 分`, failed: '没有发出去', again: '重试',
    attach: '发送图片', picture: '图片', uploading: '正在上传图片', large: '图片不能超过 5 MB', kinds: '只能发送 JPEG、PNG、GIF、WebP 图片',
    many: '图片发得太多了，请稍后再发', nobody: '找人工客服时才能发图片',
    wrong: '出错了，请稍后再试', few: '请检查标出的几项',
  },
  en: {
    lang: 'en', title: 'Help', close: 'Close', person: 'Talk to a person', send: 'Send', log: 'Conversation',
    ask: 'Your question', placeholder: 'Type your question…', robot: 'Assistant', agent: 'Support', you: 'You',
    connecting: 'Connecting…', offline: 'You are offline; messages are sent when you are back', slow: 'Too fast; it is sent in a moment',
    expired: 'Your sign-in has expired; please reload the page', closed: 'This conversation has ended; ask again to start over', waiting: 'Waiting',
    ahead: (n, s) => (n ? `${n} ahead of you` : 'You are next') + (s == null ? '' : `, about ${Math.max(1, Math.round(s / 60))} min`),
    events: { queued: 'Waiting for a person', agent: 'A person has joined', closed: 'The conversation has ended', bot: 'The assistant goes on' },
    earlier: 'What was said before you signed in', quick: 'Frequent questions', related: 'Related', none: 'None of these', choose: 'Choose one', maybe: 'Or did you mean',
    helped: 'Did this help?', yes: 'Yes', no: 'No', thanks: 'Thank you', sorry: 'Sorry about that. Would you like a person?',
    leave: 'Leave a message', submit: 'Send the message', cancel: 'Cancel', required: ' (required)', opens: (at) => `We are back at ${at}`,
    rate: 'How was it?', stars: (n) => `${n} of 5`, failed: 'Not sent', again: 'Try again',
    attach: 'Send a picture', picture: 'Picture', uploading: 'Sending the picture', large: 'A picture may have at most 5 MB', kinds: 'Only JPEG, PNG, GIF and WebP pictures can be sent',
    many: 'Too many pictures; please try again later', nobody: 'Pictures are for a person: ask for one first',
    wrong: 'Something went wrong; please try again', few: 'Please check the marked fields',
  },
};
// What asks for a person is said to the robot, which knows the hours and the rules.
const PERSON = '转人工';
let words = WORDS.zh;

