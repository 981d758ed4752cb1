import { setPassword } from '../api';
import { texts } from '../texts';
import { OwnerName } from './PasswordField';
import { PasswordForm } from './PasswordForm';

const FIELDS = [
  { label: texts.access.newPassword, kind: 'new-password' },
  { label: texts.access.repeat, kind: 'new-password' },
] as const;

interface Props {
  /** What the link has in it. */
  secret: string;
  onSet: () => void;
}

export function SetPasswordForm({ secret, onSet }: Props) {
  const set = async ([password = '']: string[]) => {
    await setPassword(secret, password);
    onSet();
  };

  return (
    <PasswordForm
      fields={FIELDS}
      button={texts.access.setButton}
      busyButton={texts.access.setting}
      check={([password, repeated]) => (password === repeated ? null : texts.access.different)}
      onPasswords={set}
    >
      <OwnerName />
    </PasswordForm>
  );
}
